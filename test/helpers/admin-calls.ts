/** Asks a node's administration API. */
import type { RecordsView, StatusView } from '../../src/admin/views.ts'
import type { JobView } from '../../src/events/mesh-event.ts'

export function statusOf({ url }: { readonly url: string }): Promise<StatusView> {
  return ask(`${url}/api/v1/status`)
}

/** Open jobs, and the last that ended. */
export async function jobsOf({ url }: { readonly url: string }): Promise<readonly JobView[]> {
  return (await ask<{ readonly jobs: readonly JobView[] }>(`${url}/api/v1/jobs`)).jobs
}

/** Everything that the node knows of a repository, or of one reference. */
export async function recordsOf(
  { url }: { readonly url: string },
  repository: string,
  reference?: string,
): Promise<readonly RecordsView[]> {
  const one = reference === undefined ? {} : { reference }
  const query = new URLSearchParams({ repository, n: '1000', ...one })
  const { records } = await ask<{ readonly records: readonly RecordsView[] }>(
    `${url}/api/v1/records?${query.toString()}`,
  )
  return records
}

async function ask<T>(url: string): Promise<T> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return (await answer.json()) as T
}

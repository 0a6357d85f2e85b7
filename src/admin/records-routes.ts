/** The route about records: who said what of a reference, and what this node makes of it. */
import type { Hono } from 'hono'
import { z } from 'zod'
import { parseReference, parseRepositoryName } from '../oci/name.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { AdminBindings } from './caller.ts'
import { failure } from './failure.ts'
import type { Operation } from './operation.ts'
import { PAGE_QUERY, page, QUERY_INVALID, readQuery } from './query.ts'
import { type RecordsViewDeps, viewBehind, viewRecords } from './records-view.ts'
import { RECORDS_PAGE, type RecordsPage, type RecordsView, type StatusView } from './views.ts'

export interface RecordsRoutesDeps extends RecordsViewDeps {
  readonly ledger: Pick<Ledger, 'entry' | 'entriesOf'>
  readonly status: () => StatusView
}

const RECORDS_QUERY = z.strictObject({
  repository: z.string().default(''),
  reference: z.string().optional().meta({ description: 'A tag or a digest; absent: all of them' }),
  ...PAGE_QUERY,
})

export const RECORDS_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/records',
    method: 'get',
    summary: 'What the node knows, holds and plans',
    query: RECORDS_QUERY,
    answer: RECORDS_PAGE,
    others: {
      400: { description: `${QUERY_INVALID}; NAME_INVALID: no repository, tag or digest` },
    },
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addRecordsRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  deps: RecordsRoutesDeps,
): void {
  const { ledger, status } = deps

  app.get('/api/v1/records', async (context) => {
    const query = readQuery(context, RECORDS_QUERY)
    if (query instanceof Response) return query
    const repository = parseRepositoryName(query.repository)
    if (repository === undefined) {
      const message = 'expected ?repository=NAME, and &reference=TAG or DIGEST'
      return failure(context, 400, 'NAME_INVALID', message)
    }
    if (query.reference === undefined) {
      // One more than asked for: whether there is another page.
      const range = { after: query.last, limit: query.n + 1 }
      const entries = await ledger.entriesOf(repository, range)
      const records: RecordsView[] = []
      for (const entry of entries.slice(0, query.n)) records.push(await viewRecords(entry, deps))
      const next = entries.length > query.n ? records.at(-1)?.reference : undefined
      return page(context, { records } satisfies RecordsPage, next)
    }
    const reference = parseReference(query.reference)
    if (reference === undefined) {
      return failure(context, 400, 'NAME_INVALID', 'expected a tag or a digest')
    }
    const entry = ledger.entry({ repository, reference })
    if (entry === undefined) return context.json({ records: [] } satisfies RecordsPage)
    const neighbours = viewBehind(entry, deps, status().neighbours)
    return context.json({ records: [{ ...(await viewRecords(entry, deps)), neighbours }] })
  })
}

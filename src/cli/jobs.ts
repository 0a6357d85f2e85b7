/** `entrepot jobs`: the transfers of a running node, and a person's word about one of them. */
import type { Command } from 'commander'
import type { JobView } from '../events/mesh-event.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { systemClock } from '../lib/clock.ts'
import { durationText } from '../lib/duration.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson, table } from './output.ts'

export function addJobsCommands(program: Command): void {
  const jobs = nodeCommand(program, 'jobs', 'transfers: open ones, and the last that ended')
    .option('--state <state>', 'only jobs in this state')
    .action(async ({ url, tlsCa, json, state }: NodeOptions & { readonly state?: string }) => {
      const query = state === undefined ? '' : `?state=${encodeURIComponent(state)}`
      const path = `/api/v1/jobs${query}`
      const { jobs } = await askNode<{ readonly jobs: readonly JobView[] }>(url, path, { tlsCa })
      if (json === true) printJson(jobs)
      else print(jobs.length === 0 ? 'no jobs' : jobsText(jobs))
    })
  const act = (action: 'cancel' | 'retry', description: string) =>
    nodeCommand(jobs, action, description)
      .argument('<id>', 'REPOSITORY@DIGEST, as `entrepot jobs` lists it')
      // The listing knows these options too, and takes them where they stand before the action.
      .action(async (id: string, _options: NodeOptions, command: Command) => {
        const { url, tlsCa, json } = command.optsWithGlobals<NodeOptions>()
        const path = `/api/v1/jobs/${encodeURIComponent(id)}/${action}`
        const job = await askNode<JobView>(url, path, { method: 'POST', tlsCa })
        if (json === true) printJson(job)
        else print(jobsText([job]))
      })
  act('cancel', 'hold a job until a retry or newer news')
  act('retry', 'run a held or waiting job now')
}

function jobsText(jobs: readonly JobView[]): string {
  const now = systemClock.now()
  return table([
    ['STATE', 'BYTES', 'TRIES', 'NEXT', 'JOB', 'REFERENCES', 'WHY'],
    ...jobs.map((job) => [
      job.phase === undefined ? job.state : `${job.state} (${job.phase})`,
      job.bytesTotal === undefined
        ? '-'
        : `${bytesText(job.bytesDone)}/${bytesText(job.bytesTotal)}`,
      String(job.attempts),
      job.nextTryAtMs === undefined ? '-' : durationText(job.nextTryAtMs - now),
      job.id,
      job.references.join(','),
      job.reason ?? '',
    ]),
  ])
}

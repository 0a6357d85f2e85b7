/** `entrepot status|jobs|records`: what a running node says of itself. */
import { type Command, Option } from 'commander'
import type { RecordsView, StatusView } from '../admin/views.ts'
import type { JobView } from '../events/mesh-event.ts'
import { EntrepotError } from '../lib/errors.ts'
import { askNode } from './node-api.ts'
import { bytesText, print, printJson, table } from './output.ts'

interface Options {
  readonly url: string
  readonly tlsCa?: string
  readonly json?: boolean
}

const DEFAULT_URL = process.env.ENTREPOT_URL ?? 'http://127.0.0.1:5000'

export function addInspectCommands(program: Command): void {
  const command = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option('--url <url>', 'registry address of the node', DEFAULT_URL)
      .addOption(
        new Option('--tls-ca <file>', 'authority of its certificate, PEM').env('ENTREPOT_TLS_CA'),
      )
      .option('--json', 'print the answer as JSON')

  command('status', 'the node, its neighbours and what it is doing').action(
    async ({ url, tlsCa, json }: Options) => {
      const status = await askNode<StatusView>(url, '/api/v1/status', { tlsCa })
      if (json === true) printJson(status)
      else print(statusText(status))
    },
  )

  command('jobs', 'transfers: open ones, and the last that ended')
    .option('--state <state>', 'only jobs in this state')
    .option('--cancel <id>', 'hold a job until a retry or newer news')
    .option('--retry <id>', 'run a held or waiting job now')
    .action(async (options: Options & { state?: string; cancel?: string; retry?: string }) => {
      const { url, tlsCa, json, state, cancel, retry } = options
      const act = cancel === undefined ? (['retry', retry] as const) : (['cancel', cancel] as const)
      if (act[1] !== undefined) {
        const path = `/api/v1/jobs/${encodeURIComponent(act[1])}/${act[0]}`
        const job = await askNode<JobView>(url, path, { method: 'POST', tlsCa })
        if (json === true) printJson(job)
        else print(jobsText([job]))
        return
      }
      const query = state === undefined ? '' : `?state=${encodeURIComponent(state)}`
      const { jobs } = await askNode<{ readonly jobs: readonly JobView[] }>(
        url,
        `/api/v1/jobs${query}`,
        { tlsCa },
      )
      if (json === true) printJson(jobs)
      else print(jobs.length === 0 ? 'no jobs' : jobsText(jobs))
    })

  command('records', 'what the node knows, holds and plans for REPOSITORY or REPOSITORY:TAG')
    .argument('<image>', 'REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST')
    .action(async (image: string, { url, tlsCa, json }: Options) => {
      const { repository, reference } = parseImage(image)
      const query = new URLSearchParams({
        repository,
        ...(reference === undefined ? {} : { reference }),
      })
      const path = `/api/v1/records?${query.toString()}`
      const { records } = await askNode<{ readonly records: readonly RecordsView[] }>(url, path, {
        tlsCa,
      })
      if (json === true) printJson(records)
      else
        print(
          records.length === 0
            ? `the node knows nothing of ${image}`
            : records.map(recordsText).join('\n\n'),
        )
      if (records.length === 0) process.exitCode = 1
    })
}

function parseImage(image: string): { repository: string; reference?: string } {
  const match = /^([^:@]+)(?:@(.+)|:([^/]+))?$/.exec(image)
  const [, repository, digest, tag] = match ?? []
  if (repository === undefined) {
    throw new EntrepotError(
      'CONFIG_INVALID',
      `expected REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, got ${image}`,
    )
  }
  const reference = digest ?? tag
  return reference === undefined ? { repository } : { repository, reference }
}

function statusText(status: StatusView): string {
  const jobs = Object.entries(status.jobs).map(([state, count]) => `${count} ${state}`)
  const head = table([
    ['node', `${status.node} of realm ${status.realm}, entrepot ${status.version}`],
    ['state', status.isReady ? 'ready' : 'starting'],
    ['peer id', status.peerId],
    ['topology', `generation ${status.generation}, ${status.topologyHash.slice(0, 12)}`],
    ['feed', `${status.feed.head} changes`],
    ['jobs', jobs.length === 0 ? 'none' : jobs.join(', ')],
    [
      'since start',
      Object.entries(status.counters)
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    ],
  ])
  const rows = status.neighbours.map(({ name, state, sinceMs, isSource, differs, lastError }) => [
    `  ${name}`,
    state,
    `since ${new Date(sinceMs).toISOString()}`,
    isSource ? 'source' : '',
    differs === true ? 'RUNS ANOTHER TOPOLOGY' : '',
    state === 'down' ? (lastError ?? '') : '',
  ])
  return rows.length === 0 ? head : `${head}\nneighbours\n${table(rows)}`
}

function jobsText(jobs: readonly JobView[]): string {
  return table([
    ['STATE', 'BYTES', 'TRIES', 'JOB', 'REFERENCES', 'WHY'],
    ...jobs.map((job) => [
      job.phase === undefined ? job.state : `${job.state} (${job.phase})`,
      job.bytesTotal === undefined
        ? '-'
        : `${bytesText(job.bytesDone)}/${bytesText(job.bytesTotal)}`,
      String(job.attempts),
      job.id,
      job.references.join(','),
      job.reason ?? '',
    ]),
  ])
}

function recordsText(view: RecordsView): string {
  const head = table([
    ['key', `${view.repository} ${view.reference}`],
    ['visible', view.visible ?? (view.deletedAtOrigin ? 'nothing: deleted at origin' : 'nothing')],
    ['held', view.held ?? 'nothing'],
    ['plan', view.plan],
  ])
  const rows = view.known.map(({ kind, writer, time, digest, size }) => [
    `  ${kind}`,
    `by ${writer}`,
    time,
    digest ?? '',
    size === undefined ? '' : bytesText(size),
  ])
  return `${head}\nrecords\n${table(rows)}`
}

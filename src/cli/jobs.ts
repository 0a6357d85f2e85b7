/** `entrepot jobs`: the transfers of a running node, and a person's word about them. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type JobFilter, jobMatcher } from '../admin/job-filter.ts'
import { CAUSES, JOB_STATES, type JobDetail, type PausesView } from '../admin/job-view.ts'
import type { JobView, Pause } from '../events/mesh-event.ts'
import { systemClock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import { isEnd } from '../queue/job-machine.ts'
import { detailText, historyText, jobsText, pausesText } from './jobs-text.ts'
import { watchJobs } from './jobs-watch.ts'
import { askNode, askPages } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'

/** As the API knows them. */
const FILTERS = ['state', 'repository', 'reference', 'digest', 'from', 'policy', 'cause'] as const

interface JobsOptions extends NodeOptions, Partial<Record<(typeof FILTERS)[number], string>> {
  readonly paused?: boolean
  readonly watch?: boolean
  readonly limit?: number
}

interface TargetOptions extends NodeOptions {
  readonly link?: string
  readonly policy?: string
  readonly all?: boolean
}

/** Rows in one answer, the most that there are. */
const PAGE = 1_000

export function addJobsCommands(program: Command): void {
  const jobs = nodeCommand(
    program,
    'jobs',
    'transfers that have not ended; with a filter also those that ended lately',
  )
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(JOB_STATES))
    .option('--repository <name>', 'only of this repository and below, or of a glob')
    .option('--reference <ref>', 'only those that this tag or digest waits for')
    .option('--digest <digest>', 'only of this manifest; its beginning is enough')
    .option('--from <node>', 'only those whose bytes come from this node now')
    .option('--policy <name>', 'only those that this policy asks for')
    .addOption(
      new Option('--cause <cause>', 'only those that wait or ended for it').choices(CAUSES),
    )
    .option('--paused', 'only those that a pause keeps from running')
    .option('--watch', 'show them live, until Ctrl-C; with --json a line for each event')
    .action(async (options: JobsOptions) => {
      if (options.watch === true) return watch(options)
      const { url, tlsCa, json } = options
      const path = `/api/v1/jobs?${queryOf(options, PAGE)}`
      const rowsOf = (page: { readonly jobs: readonly JobView[] }) => page.jobs
      const all = (await askPages(url, path, rowsOf, { tlsCa })) as readonly JobView[]
      if (json === true) printJson(all)
      else print(listText(all, Object.keys(filterOf(options)).length > 0))
    })

  nodeCommand(jobs, 'show', 'one job: whom it asked, and its last lines')
    .argument('<id>', 'REPOSITORY@DIGEST, as `entrepot jobs` lists it')
    .action(async (id: string, _options: NodeOptions, command: Command) => {
      const { url, tlsCa, json } = command.optsWithGlobals<NodeOptions>()
      const job = await askNode<JobDetail>(url, pathOf(id), { tlsCa })
      if (json === true) printJson(job)
      else print(detailText(job as never, systemClock.now()))
    })

  nodeCommand(jobs, 'history', 'jobs that ended, the newest first')
    .option('--limit <n>', 'so many at most', wholeNumber, 50)
    .action(async (_options: JobsOptions, command: Command) => {
      const options = command.optsWithGlobals<JobsOptions>()
      const { url, tlsCa, json, limit = 50 } = options
      const path = `/api/v1/history?${queryOf(options, limit)}`
      const page = await askNode<{ readonly ended: readonly { job: JobView }[] }>(url, path, {
        tlsCa,
      })
      const ended = page.ended.map(({ job }) => job)
      if (json === true) printJson(page.ended)
      else print(ended.length === 0 ? 'no job ended' : historyText(ended))
    })

  addAction(jobs, 'cancel', 'hold a job until a retry or newer news')
  addAction(jobs, 'retry', 'run a held or waiting job now')
  addPauseCommands(jobs)
}

function addAction(jobs: Command, action: 'cancel' | 'retry', description: string): void {
  nodeCommand(jobs, action, description)
    .argument('<id>', 'REPOSITORY@DIGEST, as `entrepot jobs` lists it')
    // The listing knows these options too, and takes them where they stand before the action.
    .action((id: string, _options: NodeOptions, command: Command) =>
      actOnJob(id, action, command.optsWithGlobals<NodeOptions>()),
    )
}

async function actOnJob(
  id: string,
  action: 'cancel' | 'retry' | 'pause' | 'resume',
  { url, tlsCa, json }: NodeOptions,
): Promise<void> {
  const job = await askNode<JobView>(url, `${pathOf(id)}/${action}`, { method: 'POST', tlsCa })
  if (json === true) printJson(job)
  else print(jobsText([job], systemClock.now()))
}

function addPauseCommands(jobs: Command): void {
  const add = (action: 'pause' | 'resume', description: string) =>
    nodeCommand(jobs, action, description)
      .argument('[id]', 'REPOSITORY@DIGEST, as `entrepot jobs` lists it')
      .option('--link <node>', 'all that comes from this neighbour')
      .option('--policy <name>', 'all that only this policy asks for')
      .option('--all', 'everything that this node fetches')
      .action(async (id: string | undefined, _options: TargetOptions, command: Command) => {
        const options = command.optsWithGlobals<TargetOptions>()
        const target = targetOf(id, options)
        if (typeof target === 'string') return actOnJob(target, action, options)
        const { url, tlsCa, json } = options
        const path = `/api/v1/pauses?${new URLSearchParams(target).toString()}`
        const method = action === 'pause' ? 'POST' : 'DELETE'
        const answer = await askNode<Pause | PausesView>(url, path, { method, tlsCa })
        const pauses = 'pauses' in answer ? answer.pauses : [answer]
        if (json === true) printJson(answer)
        else print(pausesText(pauses))
      })
  add('pause', 'stop a job, or all of a neighbour, a policy or the node, until it is resumed')
  add('resume', 'let go on what was paused')
  nodeCommand(jobs, 'pauses', 'what is paused, and since when').action(
    async (_options: NodeOptions, command: Command) => {
      const { url, tlsCa, json } = command.optsWithGlobals<NodeOptions>()
      const { pauses } = await askNode<PausesView>(url, '/api/v1/pauses', { tlsCa })
      if (json === true) printJson(pauses)
      else print(pausesText(pauses))
    },
  )
}

/** The id of a job, or what stands in the query. */
function targetOf(
  id: string | undefined,
  { link, policy, all }: TargetOptions,
): string | Record<string, string> {
  const targets = [
    ...(id === undefined ? [] : [id]),
    ...(link === undefined ? [] : [{ link }]),
    ...(policy === undefined ? [] : [{ policy }]),
    ...(all === true ? [{ all: 'true' }] : []),
  ]
  const [target] = targets
  if (target !== undefined && targets.length === 1) return target
  const message = 'expected one of: the id of a job, --link NODE, --policy NAME, --all'
  throw new EntrepotError('CONFIG_INVALID', message)
}

async function watch(options: JobsOptions): Promise<void> {
  const { url, tlsCa, json } = options
  // Says what is wrong with a filter before anything is drawn.
  await askNode(url, `/api/v1/jobs?${queryOf(options, 1)}`, { tlsCa })
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal)
  try {
    const deps = { clock: systemClock, out: process.stdout }
    const fits = jobMatcher(filterOf(options))
    await watchJobs(deps, { url, tlsCa, fits, json, signal: stop.signal })
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeListener(name, onSignal)
  }
}

function queryOf(options: JobsOptions, n: number): string {
  return new URLSearchParams({ ...filterOf(options), n: String(n) } as never).toString()
}

/** Commander has seen to the words that are allowed, the node sees to the rest. */
function filterOf(options: JobsOptions): JobFilter {
  const given = FILTERS.flatMap((name) => {
    const value = options[name]
    return value === undefined ? [] : [[name, value]]
  })
  const paused = options.paused === true ? { paused: 'true' } : {}
  return { ...Object.fromEntries(given), ...paused } as JobFilter
}

/** Without a filter a person asks what is to be done: what ended is counted. */
function listText(all: readonly JobView[], isFiltered: boolean): string {
  const shown = isFiltered ? all : all.filter(({ state }) => !isEnd(state))
  const ended = all.length - shown.length
  return [
    shown.length === 0 ? 'no jobs' : jobsText(shown, systemClock.now()),
    ...(ended === 0 ? [] : [`${ended} ended: entrepot jobs history`]),
  ].join('\n')
}

function pathOf(id: string): string {
  return `/api/v1/jobs/${encodeURIComponent(id)}`
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= PAGE) return number
  throw new InvalidArgumentError(`expected a whole number from 1 to ${PAGE}`)
}

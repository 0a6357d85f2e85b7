/** What a watcher knows of the jobs of a node: the snapshot of the live stream and all changes since, as lines for a screen. */
import type { StatusView } from '../admin/views.ts'
import type { JobView, Pause } from '../events/mesh-event.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { durationText } from '../lib/duration.ts'
import { bar } from './display.ts'
import type { LiveEvent } from './live-events.ts'

export interface JobBoard {
  /** Takes in what the stream tells. @returns what a reader without a screen is told of it, a line each */
  take(event: LiveEvent): readonly string[]
  /** At most so many lines, none longer than `width`, at `now` by this machine's clock. */
  lines(size: {
    readonly width: number
    readonly height: number
    readonly now: number
  }): readonly string[]
}

/** States that are shown, in this order; the ends are counted only. */
const SHOWN = ['running', 'queued', 'waiting', 'held'] as const
const ENDS: ReadonlySet<string> = new Set(['done', 'superseded', 'gone'])

/** Characters of a name. */
const NAME_WIDTH = 26

/** `fits`: which jobs are shown. */
export function createJobBoard(fits: (job: JobView) => boolean): JobBoard {
  const jobs = new Map<string, JobView>()
  let node = ''
  let paused: readonly Pause[] = []
  let ended = 0

  function put(job: JobView): boolean {
    const before = jobs.get(job.id)
    if (ENDS.has(job.state)) jobs.delete(job.id)
    else jobs.set(job.id, job)
    return before?.state !== job.state
  }

  function restart(status: StatusView, all: readonly JobView[]): readonly string[] {
    jobs.clear()
    node = status.node
    paused = status.paused
    for (const job of all) if (fits(job)) put(job)
    return [
      `${node}: ${jobs.size} open jobs`,
      ...paused.map(pauseLine),
      ...[...jobs.values()].map(stateLine),
    ]
  }

  return {
    take: ({ event, data }) => {
      if (event === 'snapshot') {
        const { status, jobs: all } = data as { status: StatusView; jobs: readonly JobView[] }
        return restart(status, all)
      }
      if (event === 'pauses-changed') {
        paused = (data as { pauses: readonly Pause[] }).pauses
        return paused.length === 0 ? ['nothing is paused'] : paused.map(pauseLine)
      }
      if (event === 'jobs-reset') {
        jobs.clear()
        return ['the jobs are derived anew: another topology runs']
      }
      if (event !== 'job-changed') return []
      const { job } = data as { job: JobView }
      if (!fits(job)) {
        jobs.delete(job.id)
        return []
      }
      const isNews = put(job)
      if (ENDS.has(job.state)) ended += 1
      return isNews ? [stateLine(job)] : []
    },
    lines: ({ width, height, now }) => {
      const rows = SHOWN.flatMap((state) =>
        [...jobs.values()].filter((job) => job.state === state).sort(byPriority),
      )
      const head = [headLine(node, [...jobs.values()], ended), ...paused.map(pauseLine)]
      const room = Math.max(0, height - head.length - 1)
      const shown = rows.slice(0, room).map((job) => jobLine(job, now))
      const left = rows.length - shown.length
      const more = left === 0 ? [] : [`and ${left} more`]
      return [...head, ...shown, ...more].slice(0, height).map((line) => cut(line, width))
    },
  }
}

function byPriority(a: JobView, b: JobView): number {
  return b.priority - a.priority || a.createdAtMs - b.createdAtMs
}

function headLine(node: string, jobs: readonly JobView[], ended: number): string {
  const counts = SHOWN.map((state) => {
    const count = jobs.filter((job) => job.state === state).length
    return `${count} ${state}`
  })
  const rate = jobs.reduce((sum, job) => sum + (job.bytesPerSecond ?? 0), 0)
  return `${node}: ${counts.join(', ')}, ${ended} ended since; ${bytesText(rate)}/s`
}

function pauseLine({ scope, name, sinceMs }: Pause): string {
  const what = scope === 'all' ? 'all transfers' : `${scope} ${name}`
  return `paused by an operator: ${what}, since ${new Date(sinceMs).toISOString()}`
}

/** A job while it runs or waits. Its name comes first: on a narrow screen the end of the line is cut off. */
function jobLine(job: JobView, now: number): string {
  const { state, bytesDone, bytesTotal, reason = '' } = job
  const size = bytesTotal === undefined ? '' : `${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`
  const share = bytesTotal === undefined || bytesTotal === 0 ? 0 : bytesDone / bytesTotal
  const standing = state === 'running' ? runText(job) : `${state}${nextText(job, now)} ${reason}`
  const name = cut(nameOf(job), NAME_WIDTH).padEnd(NAME_WIDTH)
  return printable(`${name} ${bar(share)} ${size.padEnd(20)} ${standing}`)
}

/** `team/app:v1`, or `team/app@sha256:ab12cd34` where nothing but the digest asks for it. */
function nameOf({ repository, digest, references }: JobView): string {
  const tags = references.filter((one) => one !== digest)
  if (tags.length > 0) return `${repository}:${tags.join(',')}`
  return `${repository}@${digest.slice(0, digest.indexOf(':') + 9)}`
}

function runText({ phase, bytesDone, bytesTotal, bytesPerSecond = 0, from = [] }: JobView): string {
  if (phase !== 'blobs' || bytesTotal === undefined) return phase ?? 'running'
  const left = (bytesTotal - bytesDone) / bytesPerSecond
  const eta = bytesPerSecond > 0 ? ` ${durationText(Math.ceil(left) * 1_000)}` : ''
  const holders = from.length === 0 ? '' : ` from ${from.join(', ')}`
  return `${bytesText(bytesPerSecond)}/s${eta}${holders}`
}

function nextText({ nextTryAtMs }: JobView, now: number): string {
  return nextTryAtMs === undefined ? '' : ` ${durationText(Math.max(0, nextTryAtMs - now))}`
}

function stateLine(job: JobView): string {
  const { changedAtMs, state, id, references, bytesDone, reason } = job
  const size = state === 'done' ? ` (${bytesText(bytesDone)})` : ''
  const why = reason === undefined ? '' : `: ${reason}`
  const at = new Date(changedAtMs).toISOString()
  return printable(`${at} ${state}${size} ${id} ${references.join(',')}${why}`)
}

/** Reasons may repeat what another node said. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

function cut(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`
}

/** Jobs as text. */
import type { AskedNode, JobLine, JobView, Pause } from '../events/mesh-event.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { durationText } from '../lib/duration.ts'
import { table } from './output.ts'

/** `now`: milliseconds since the Unix epoch. */
export function jobsText(jobs: readonly JobView[], now: number): string {
  return table([
    ['STATE', 'BYTES', 'RATE', 'TRIES', 'NEXT', 'JOB', 'REFERENCES', 'WHY'],
    ...jobs.map((job) => [
      job.phase === undefined ? job.state : `${job.state} (${job.phase})`,
      sizeText(job),
      rateText(job),
      String(job.attempts),
      job.nextTryAtMs === undefined ? '-' : durationText(job.nextTryAtMs - now),
      job.id,
      job.references.join(','),
      job.reason ?? '',
    ]),
  ])
}

export function historyText(jobs: readonly JobView[]): string {
  return table([
    ['ENDED', 'OUTCOME', 'TOOK', 'BYTES', 'TRIES', 'JOB', 'REFERENCES', 'WHY'],
    ...jobs.map((job) => [
      new Date(job.changedAtMs).toISOString(),
      job.cause === undefined ? job.state : `${job.state} (${job.cause})`,
      durationText(job.changedAtMs - job.createdAtMs),
      sizeText(job),
      String(job.attempts),
      job.id,
      job.references.join(','),
      job.reason ?? '',
    ]),
  ])
}

export function pausesText(pauses: readonly Pause[]): string {
  if (pauses.length === 0) return 'nothing is paused'
  return table([
    ['PAUSED', 'SINCE'],
    ...pauses.map(({ scope, name, sinceMs }) => [
      name === undefined ? scope : `${scope} ${name}`,
      new Date(sinceMs).toISOString(),
    ]),
  ])
}

interface Detail extends JobView {
  readonly asked: readonly AskedNode[]
  readonly log: readonly JobLine[]
}

export function detailText(job: Detail, now: number): string {
  const { windows = [], platforms, policies, pausedBy } = job
  const head = table([
    ['job', job.id],
    ['state', job.phase === undefined ? job.state : `${job.state} (${job.phase})`],
    ...(job.reason === undefined ? [] : [['why', job.reason]]),
    ...(pausedBy === undefined ? [] : [['paused', pausedBy]]),
    ['bytes', sizeText(job)],
    ...(job.bytesPerSecond === undefined ? [] : [['rate', rateText(job)]]),
    ['tries', String(job.attempts)],
    ...(job.nextTryAtMs === undefined
      ? []
      : [['next try', `${isoOf(job.nextTryAtMs)} (${durationText(job.nextTryAtMs - now)})`]]),
    ['references', job.references.join(', ')],
    ['policies', policies.length === 0 ? 'none: it may write this' : policies.join(', ')],
    ['priority', String(job.priority)],
    ['platforms', platforms === 'all' ? platforms : platforms.join(', ')],
    ...(windows.length === 0 ? [] : [['windows', windows.join('; ')]]),
    ['since', isoOf(job.createdAtMs)],
  ])
  const asked = job.asked.map(({ atMs, node, outcome, digest, reason }) => [
    `  ${isoOf(atMs)}`,
    node,
    outcome,
    digest,
    reason ?? '',
  ])
  const log = job.log.map(({ atMs, text }) => [`  ${isoOf(atMs)}`, text])
  return [
    head,
    ...(asked.length === 0 ? [] : ['asked', table(asked)]),
    ...(log.length === 0 ? [] : ['log', table(log)]),
  ].join('\n')
}

function sizeText({ bytesDone, bytesTotal }: JobView): string {
  return bytesTotal === undefined ? '-' : `${bytesText(bytesDone)}/${bytesText(bytesTotal)}`
}

function rateText({ bytesPerSecond, from = [] }: JobView): string {
  if (bytesPerSecond === undefined) return '-'
  const holders = from.length === 0 ? '' : ` from ${from.join(',')}`
  return `${bytesText(bytesPerSecond)}/s${holders}`
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

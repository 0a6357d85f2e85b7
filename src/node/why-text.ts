/** The words in which a node explains itself: parts of sentences, and facts a line each. */
import { bytesText } from '../lib/bytes-text.ts'
import { counted } from '../lib/counted.ts'
import { isDigest } from '../oci/name.ts'
import type { Neighbour } from '../peers/neighbours.ts'
import type { RecordKey, SignedRecord } from '../record/tag-record.ts'
import { msOfTime } from '../record/time.ts'
import { nodeOfPeer, originOf, writersWithEndpoints } from '../topology/origins.ts'
import type { Hop, Path } from '../topology/path.ts'
import type { Topology } from '../topology/topology.ts'
import type { Found } from './why-found.ts'

/** Characters of a digest that people compare. */
const SHORT = 19
const MS_PER_SECOND = 1_000

export function nameOf({ repository, reference }: RecordKey): string {
  return `${repository}${isDigest(reference) ? '@' : ':'}${reference}`
}

export function recordText({ record, writer }: SignedRecord, topology: Topology): string {
  const who = nodeOfPeer(topology, writer) ?? writer
  const what = record.kind === 'put' ? `put ${record.digest.slice(0, SHORT)}` : 'delete'
  return `${what} by ${who} at ${timeText(msOfTime(record.time))}`
}

/** By which links and policies it came. */
export function bringText({ links, path }: Found): string {
  const passing = links.filter((hop) => hop.passing.length > 0)
  if (passing.length === 0) return path.kind === 'writer' ? '; it may write it itself' : ''
  const parts = passing.map(({ from, passing: names }) => `from ${from} (${names.join(', ')})`)
  return `; links bring it ${parts.join(' and ')}`
}

export function sinceText({ heldSinceMs }: Found): string {
  return heldSinceMs === undefined ? '' : `; here since ${timeText(heldSinceMs)}`
}

/** Where and by what the way is barred; undefined where it is not. */
export function blockText(path: Path, { repository, reference }: RecordKey): string | undefined {
  if (path.kind !== 'filtered') return undefined
  const parts = path.hops
    .filter(({ passing }) => passing.length === 0)
    .map(({ from, to, filtering }) => {
      const reasons = filtering.map(({ policy, by }) =>
        by === 'repository'
          ? `policy ${policy} does not match repository ${repository}`
          : `policy ${policy} lets other tags of ${repository} through, not ${reference}`,
      )
      return `the link ${from} -> ${to} filters it out (${reasons.join('; ')})`
    })
  return parts.join(', and ')
}

export function downText({ name, sinceMs, lastError }: Neighbour): string {
  return `${name}, unreachable since ${timeText(sinceMs)}${lastError === undefined ? '' : ` (${lastError})`}`
}

/** Share, size, from whom, how fast. */
export function fetchText({ job, transfers, now }: Found): string {
  const { bytesDone = 0, bytesTotal, phase } = job ?? {}
  const share =
    bytesTotal === undefined || bytesTotal === 0
      ? `phase ${phase ?? 'manifest'}`
      : `${Math.floor((100 * bytesDone) / bytesTotal)} % of ${bytesText(bytesTotal)}`
  if (transfers.length === 0) return share
  const from = [...new Set(transfers.map(({ node }) => node))].join(', ')
  const rate = transfers.reduce((sum, { bytes, sinceMs }) => {
    const ms = now - sinceMs
    return ms > 0 ? sum + (bytes * MS_PER_SECOND) / ms : sum
  }, 0)
  return `${share} from ${from} at ${bytesText(Math.round(rate))}/s`
}

export function factsOf(found: Found, topology: Topology): string[] {
  const { entry, path, links, job, held, holders, parked, newest } = found
  const facts: string[] = []
  for (const signed of entry?.history ?? []) {
    const isShown = signed === newest && signed.record.kind === 'put'
    facts.push(`record: ${recordText(signed, topology)}${isShown ? ', the one that counts' : ''}`)
  }
  if (held !== undefined) facts.push(`served here: ${held}`)
  if (path.kind === 'writer') facts.push(`path: ${found.self} is a writer of the repository`)
  else facts.push(...pushText(found, topology))
  if (path.kind === 'open' || path.kind === 'filtered') {
    facts.push(`path: ${path.hops.map(hopText).join(', ')}`)
  }
  for (const hop of links.filter(({ passing }) => passing.length === 0)) {
    facts.push(`link that does not bring it: ${hopText(hop)}`)
  }
  for (const { name, state, sinceMs } of holders) {
    facts.push(`known to hold it: ${name}, ${state} since ${timeText(sinceMs)}`)
  }
  if (job !== undefined) {
    const why = job.reason === undefined ? '' : `: ${job.reason}`
    facts.push(`job: ${job.state} after ${counted(job.attempts, 'try', 'tries')}${why}`)
  }
  for (const { row, signed } of parked) {
    facts.push(
      `parked (${row.reason}), handed over by ${row.from}: ${recordText(signed, topology)}`,
    )
  }
  return facts
}

/** What a push to a node that is no writer comes to. */
const PUSHES = {
  reject: 'refused',
  redirect: 'redirected to the nearest of them that lives',
  proxy: 'passed on to the nearest of them that lives',
} as const

function pushText({ self, key: { repository } }: Found, topology: Topology): string[] {
  const origin = originOf(topology, repository)
  if (origin === undefined) return []
  const writers = writersWithEndpoints(topology, repository)
  return [`written by: ${writers}; a push at ${self} is ${PUSHES[origin.elsewhere]}`]
}

function hopText({ from, to, passing, filtering }: Hop): string {
  const through =
    passing.length > 0
      ? passing.join(', ')
      : `${filtering.map(({ policy }) => policy).join(', ')} does not let it through`
  return `${from} -> ${to} (${through})`
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

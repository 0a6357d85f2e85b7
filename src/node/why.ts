/** Why an image is here, or is not: one verdict with a sentence for a person, and what it rests on. */
import type { Verdict, WhyView } from '../admin/why-view.ts'
import { durationText } from '../lib/duration.ts'
import { visibleOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { msOfTime } from '../record/time.ts'
import { itemOf } from '../storage/naming.ts'
import { type Path, pathTo } from '../topology/path.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { judgeDeletion } from './why-deleted.ts'
import { coverageText, judgeDemand, windowText } from './why-demand.ts'
import { type Found, findFacts, type WhyDeps } from './why-found.ts'
import { judgeLoser } from './why-loser.ts'
import {
  blockText,
  bringText,
  downText,
  factsOf,
  fetchText,
  nameOf,
  recordText,
  sinceText,
} from './why-text.ts'

/** What the topology alone says of another node: whether and by which way the image comes to it. */
export async function whyElsewhere(
  { topology, ledger, insight }: WhyDeps,
  key: RecordKey,
  node: NodeName,
): Promise<WhyView> {
  const newest = visibleOf(ledger.entry(key)?.history ?? [])?.record
  const path = await pathTo(topology, node, itemOf(key, newest), insight.naming)
  const [verdict, sentence] = judgePath(path, key, node) ?? [
    'not-heard-of',
    path.kind === 'writer'
      ? `${node} may write ${nameOf(key)} itself.`
      : `${nameOf(key)} is to come to ${node} by ${wayText(path, node)}.`,
  ]
  return { node, ...key, verdict, sentence, facts: [], path: hopsOf(path), holders: [] }
}

type Judged = readonly [Verdict, string]

export function createWhy(deps: WhyDeps): (key: RecordKey) => Promise<WhyView> {
  return async (key) => {
    const found = await findFacts(deps, key)
    const [verdict, sentence] = judge(found, deps.topology)
    return {
      node: found.self,
      ...key,
      verdict,
      sentence,
      facts: factsOf(found, deps.topology),
      path: hopsOf(found.path),
      holders: found.holders.map(({ name, state }) => ({ node: name, state })),
      ...(found.wanted === undefined ? {} : { wanted: found.wanted }),
      ...(found.held === undefined ? {} : { held: found.held }),
      ...(found.job === undefined
        ? {}
        : { job: { ...found.job, references: [...found.job.references] } }),
    }
  }
}

function judge(found: Found, topology: Topology): Judged {
  const { self, entry, plan, newest, parked } = found
  const name = nameOf(found.key)
  const record = newest === undefined ? '' : recordText(newest, topology)
  if (found.loser !== undefined) {
    if (found.held === undefined && found.job !== undefined) return judgePull(found)
    return judgeLoser(found, found.loser, topology)
  }
  if (entry === undefined || (newest === undefined && found.held === undefined)) {
    return parked.length > 0 ? judgeParked(found) : judgeUnknown(found)
  }
  if (newest === undefined) {
    const what = 'from a directory that it took over; no record of the mesh names it'
    return ['adopted', `${self} serves ${name} ${what}, so other nodes do not hear of it.`]
  }
  if (plan.kind === 'pull') return judgePull(found)
  if (found.deletion !== undefined) {
    const what = `${name} was deleted (${record})`
    return judgeDeletion(found.deletion, { self, repository: found.key.repository, what })
  }
  if (plan.kind !== 'refusal') {
    const what = plan.kind === 'show' ? 'about to show it' : 'about to remove it'
    return ['settling', `${self} has ${name} whole and is ${what}.`]
  }
  switch (plan.reason) {
    case 'already-here':
      return [
        'held',
        `${self} holds ${name}${coverageText(found)}: ${record}${bringText(found)}${sinceText(found)}.`,
      ]
    case 'deleted-at-origin': {
      const why = 'no policy has it apply deletes, so it serves what it holds'
      return [
        'deleted-here-still-served',
        `${name} was deleted (${record}); ${self} may not write it and ${why}.`,
      ]
    }
    case 'absent':
      return ['deleted', `${name} was deleted (${record}).`]
    case 'not-wanted': {
      const why = blockText(found.path, found.key) ?? 'no policy of a link to it asks for it'
      return ['not-wanted', `${self} knows ${name} (${record}) and does not hold it: ${why}.`]
    }
    default:
      return (
        judgeDemand(found, { reason: plan.reason, record }) ?? [
          'settling',
          `${self} knows ${name} (${record}); it says ${plan.reason}.`,
        ]
      )
  }
}

/** Known, wanted, not here. */
function judgePull(found: Found): Judged {
  const { self, job, holders, sources, now, held } = found
  const name = nameOf(found.key)
  const former = held === undefined ? '' : ' It serves the former one meanwhile.'
  const reason = job?.reason ?? 'no reason noted'
  switch (job?.state) {
    case 'running':
      return ['fetching', `${self} is fetching ${name}: ${fetchText(found)}.${former}`]
    case 'queued': {
      if (job.pausedBy !== undefined)
        return [
          'on-hold',
          `${self} does not fetch ${name}: ${reason} by an operator (\`entrepot jobs pauses\` says since when).${former}`,
        ]
      const others = `${found.jobsBefore} other transfers run or stand in the line`
      return ['queued', `${self} is about to fetch ${name}; ${others}.${former}`]
    }
    case 'held':
      return [
        'on-hold',
        `${self} does not fetch ${name}: a person holds it (\`entrepot jobs ${job.pausedBy === undefined ? 'retry' : 'resume'} '${job.id}'\` lets it go on).${former}`,
      ]
    case 'gone':
      return ['gone', `No holder has ${name} any more: ${reason}.${former}`]
    case 'waiting': {
      const wait = Math.max(0, (job.nextTryAtMs ?? now) - now)
      const next = `next try in ${durationText(wait)}`
      if (job.cause === 'window') return ['waiting', windowText(found)]
      if (job.cause === 'local-fault')
        return [
          'waiting',
          `${self} could not keep ${name}: ${reason}; ${next}, or when another image could be kept.${former}`,
        ]
      const gone = holders.length > 0 ? holders : sources
      const down = gone.filter(({ state }) => state === 'down')
      if (down.length > 0 && down.length === gone.length) {
        const who = holders.length > 0 ? 'its holder' : 'nobody who may have it is connected:'
        return [
          'waiting',
          `${self} waits for ${name}: ${who} ${down.map(downText).join(', ')}; it goes on the moment one is back.${former}`,
        ]
      }
      if (job.cause === 'no-holder')
        return [
          'waiting',
          `${self} waits for somebody who has all of ${name}: ${reason}; it goes on the moment one shows up, ${next}.${former}`,
        ]
      return [
        'waiting',
        `${self} tried to fetch ${name} ${job.attempts} times: ${reason}; ${next}.${former}`,
      ]
    }
    default:
      return ['settling', `${self} wants ${name} and is about to begin.${former}`]
  }
}

function judgeParked({ self, key, parked, now }: Found): Judged {
  const name = nameOf(key)
  const [first] = parked
  const writer = first?.signed.writer ?? 'somebody'
  if (first?.row.reason === 'future') {
    const ahead = durationText(Math.max(0, msOfTime(first.signed.record.time) - now))
    return [
      'parked',
      `${self} has a record of ${name} that lies ${ahead} in the future; it counts when its time has come. Look at the clock of ${writer}.`,
    ]
  }
  return [
    'parked',
    `${self} has a record of ${name} by ${writer}, which may not write it by the topology of ${self}: it counts when the file says so.`,
  ]
}

function judgeUnknown(found: Found): Judged {
  const { self, key, path, sources, isScanning } = found
  const barred = judgePath(path, key, self)
  if (barred !== undefined) return barred
  const name = nameOf(key)
  if (path.kind === 'writer')
    return [
      'not-heard-of',
      `${self} may write ${name}, and as far as it knows nobody has pushed it.`,
    ]
  const down = sources.filter(({ state }) => state === 'down')
  const link = down.length === 0 ? '' : `; not connected: ${down.map(downText).join(', ')}`
  const busy = isScanning ? ', and still looks through what it knew before its start' : ''
  return [
    'not-heard-of',
    `${self} has not heard of ${name}${busy}. It would come by ${wayText(path, self)}${link}.`,
  ]
}

/** Why nothing of the kind can come to the node; undefined where it can. */
function judgePath(path: Path, key: RecordKey, node: NodeName): Judged | undefined {
  const { repository } = key
  switch (path.kind) {
    case 'no-writer':
      return ['no-writer', `Nobody may write ${repository}: no entry of origins matches it.`]
    case 'no-path': {
      const writers = path.writers.join(', ')
      const what = `No chain of links leads from a writer of ${repository} (${writers}) to ${node}.`
      return ['no-path', what]
    }
    case 'filtered':
      return ['filtered', `${node} does not get ${nameOf(key)}: ${blockText(path, key)}.`]
    default:
      return undefined
  }
}

function wayText(path: Path, node: NodeName): string {
  return [...hopsOf(path).map(({ from }) => from), node].join(' -> ')
}

function hopsOf(path: Path): WhyView['path'] {
  if (path.kind !== 'open' && path.kind !== 'filtered') return []
  return path.hops.map(({ from, to, passing, filtering }) => ({
    from,
    to,
    passing: [...passing],
    filtering: [...filtering],
  }))
}

/** The status of a node as text: what it is, whom it is connected to, and what happened since its start. */
import type { StatusView } from '../admin/views.ts'
import { bytesText, rateText } from '../lib/bytes-text.ts'
import { durationText } from '../lib/duration.ts'
import { table } from './output.ts'

/** Counters by matter: what each counts, after its number. */
const COUNTED: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  [
    'records',
    {
      recordsStored: 'stored',
      recordsRefused: 'refused',
      recordsParked: 'parked',
      conflicts: 'in conflict',
      announcementsPublished: 'announced',
    },
  ],
  [
    'blobs',
    {
      blobsFetched: 'fetched',
      bytesFetched: 'in all',
      blobsDamaged: 'damaged',
      blobsRepaired: 'repaired',
    },
  ],
  ['peers', { peersCutOff: 'neighbours cut off', strangersRefused: 'strangers refused' }],
]

/** A node of another version may count more: that comes last, as it names it. */
function counterRows(counters: StatusView['counters']): readonly (readonly string[])[] {
  const known = new Set(COUNTED.flatMap(([, words]) => Object.keys(words)))
  const others = Object.keys(counters).filter((name) => !known.has(name))
  const rest = Object.fromEntries(others.map((name) => [name, name]))
  return [...COUNTED, ['other', rest] as const].flatMap(([matter, words]) => {
    const parts = Object.entries(words).flatMap(([name, what]) => {
      const count = counters[name]
      if (count === undefined) return []
      return [`${name.startsWith('bytes') ? bytesText(count) : count} ${what}`]
    })
    return parts.length === 0 ? [] : [[`  ${matter}`, parts.join(', ')]]
  })
}

/** Of the bytes that come from the neighbour. */
function limitText(bits: number | undefined): string {
  if (bits === undefined) return ''
  return bits === 0 ? 'closed at this time' : `at most ${rateText(bits)}/s`
}

/** Nothing where two clocks agree as well as NTP lets them. */
function clockText(offsetMs: number | undefined): string {
  const seconds = Math.round((offsetMs ?? 0) / 1_000)
  if (seconds === 0) return ''
  return `clock ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`
}

/** Of different generations the lower one follows; in one generation a person has to say which is meant. */
function differenceText(
  own: number,
  { differs, generation }: StatusView['neighbours'][number],
): string {
  if (differs !== true) return ''
  return generation === own ? 'RUNS ANOTHER TOPOLOGY' : `runs generation ${generation}`
}

function topologyText({ generation, topologyHash, topology }: StatusView): string {
  const signed = topology.isSigned ? 'signed by the owner' : 'of the topology file'
  return `runs generation ${generation}, ${signed}, ${topologyHash.slice(0, 12)}`
}

function rejectedText({
  generation,
  from,
  reason,
}: NonNullable<StatusView['topology']['rejected']>): string {
  const which = generation === undefined ? 'a topology' : `generation ${generation}`
  return `${which}, from ${from}: ${reason}`
}

function storageText({
  usedBytes,
  maxBytes,
  isOverfull,
}: NonNullable<StatusView['storage']>): string {
  const text = `${bytesText(usedBytes)} of ${bytesText(maxBytes)}`
  return isOverfull ? `${text}: too much, and none of it may go` : text
}

/** `now`: milliseconds since the Unix epoch. */
export function statusText(status: StatusView, now: number): string {
  const { outside, rejected } = status.topology
  const jobs = Object.entries(status.jobs).map(([state, count]) => `${count} ${state}`)
  const head = table([
    ['node', `${status.node} of realm ${status.realm}, entrepot ${status.version}`],
    ['state', status.isReady ? 'ready' : 'starting'],
    ...(status.time.refusal === undefined ? [] : [['signs nothing', status.time.refusal]]),
    ['peer id', status.peerId],
    ['topology', topologyText(status)],
    ...(outside === undefined ? [] : [['outside', outside]]),
    ...(rejected === undefined ? [] : [['rejected', rejectedText(rejected)]]),
    ['feed', `${status.feed.head} changes`],
    ['jobs', jobs.length === 0 ? 'none' : jobs.join(', ')],
    ...(status.storage === undefined ? [] : [['storage', storageText(status.storage)]]),
    ...status.paused.map(({ scope, name, sinceMs }) => [
      'paused',
      `${name === undefined ? scope : `${scope} ${name}`} since ${new Date(sinceMs).toISOString()}`,
    ]),
    ...(status.heldUpDeletes ?? []).map(({ repository, deletes, tags }) => [
      'held up',
      `${deletes} deletes of the ${tags} tags of ${repository} wait for a person: entrepot deletes ${status.node}`,
    ]),
  ])
  const start = new Date(status.startedAtMs).toISOString()
  const since = `since the start, ${start} (${durationText(now - status.startedAtMs)})`
  const counts = `${since}\n${table(counterRows(status.counters))}`
  const rows = status.neighbours.map((neighbour) => [
    `  ${neighbour.name}`,
    neighbour.state,
    `since ${new Date(neighbour.sinceMs).toISOString()}`,
    neighbour.isSource ? 'source' : '',
    limitText(neighbour.limit),
    clockText(neighbour.clockOffsetMs),
    differenceText(status.generation, neighbour),
    neighbour.state === 'down' ? (neighbour.lastError ?? '') : '',
  ])
  const parts = rows.length === 0 ? [] : ['neighbours', table(rows)]
  return [head, ...parts, counts].join('\n')
}

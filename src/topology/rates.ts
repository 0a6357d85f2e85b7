/**
 * How fast bytes may come to a node from each of its neighbours, by the links between them: what holds at a time, and when it
 * may change. Pure.
 */
import type { LinkRate, NodeName, Topology } from './topology.ts'

/** Of one direction between two nodes. Times are milliseconds since the Unix epoch. */
export interface PairLimit {
  /** Bits a second; undefined: as fast as they go; 0: nothing flows. */
  at(ms: number): number | undefined
  /** The next moment after `ms` at which the answer may be another one; Infinity where there is none. */
  changesAt(ms: number): number
  /** The first moment from `ms` on at which bytes flow; Infinity where they never do. */
  opensAt(ms: number): number
}

/** Calendars come round every week; the day more is for a change of summer time. */
const ROUND_MS = 8 * 24 * 3_600_000

/** Limits of what comes to `node`, by the node that it comes from. Who is not in it may send as fast as it can. */
export function limitsInto(topology: Topology, node: NodeName): ReadonlyMap<NodeName, PairLimit> {
  const along = new Map<NodeName, (readonly LinkRate[])[]>()
  const against = new Map<NodeName, (readonly LinkRate[])[]>()
  const note = (ways: typeof along, from: NodeName, rates: readonly LinkRate[]) => {
    if (from !== node) ways.set(from, [...(ways.get(from) ?? []), rates])
  }
  for (const { senders, receivers, rates, back } of topology.groups) {
    if (receivers.includes(node)) for (const from of senders) note(along, from, rates)
    if (senders.includes(node)) for (const from of receivers) note(against, from, back)
  }
  const timeZone = topology.nodes.get(node)?.timeZone ?? 'UTC'
  // A writer may read back from who only receives: such bytes go against the link, where no link leads their way.
  const limits = [...new Map([...against, ...along])].map(
    ([from, links]) => [from, links.some(isFree) ? undefined : limitBy(links, timeZone)] as const,
  )
  return new Map(limits.flatMap(([from, limit]) => (limit === undefined ? [] : [[from, limit]])))
}

/** Of one link in a time zone: most pairs have one link, and many pairs the same. */
const made = new WeakMap<readonly LinkRate[], Map<string, PairLimit>>()

function limitBy(links: readonly (readonly LinkRate[])[], timeZone: string): PairLimit {
  const [rates, another] = links
  if (rates === undefined || another !== undefined) return limitOf(links, timeZone)
  const byZone = made.get(rates) ?? new Map<string, PairLimit>()
  made.set(rates, byZone)
  const limit = byZone.get(timeZone) ?? limitOf(links, timeZone)
  byZone.set(timeZone, limit)
  return limit
}

/** Whether a link lets bytes through as fast as they go, whatever the hour. */
function isFree(rates: readonly LinkRate[]): boolean {
  return rates.every(({ bitsPerSecond }) => bitsPerSecond === Number.POSITIVE_INFINITY)
}

/** Bytes do not say which link they belong to: of two links between two nodes the faster one holds. */
function limitOf(links: readonly (readonly LinkRate[])[], timeZone: string): PairLimit {
  /** What was found last, and how long it holds: time zones are slow to ask, and every chunk asks. */
  let known = { sinceMs: 0, untilMs: 0, bitsPerSecond: 0 }

  function look(ms: number): typeof known {
    if (known.sinceMs <= ms && ms < known.untilMs) return known
    const found = links.map((rates) => lookAt(rates, ms, timeZone))
    known = {
      sinceMs: ms,
      untilMs: Math.min(...found.map(({ untilMs }) => untilMs)),
      bitsPerSecond: Math.max(...found.map(({ bitsPerSecond }) => bitsPerSecond)),
    }
    return known
  }

  return {
    at: (ms) => {
      const { bitsPerSecond } = look(ms)
      return bitsPerSecond === Number.POSITIVE_INFINITY ? undefined : bitsPerSecond
    },
    changesAt: (ms) => look(ms).untilMs,
    opensAt: (ms) => {
      for (let at = ms; at < ms + ROUND_MS; ) {
        const { bitsPerSecond, untilMs } = look(at)
        if (bitsPerSecond > 0) return at
        at = untilMs
      }
      return Number.POSITIVE_INFINITY
    },
  }
}

/** The first entry that holds counts; until one of those before it, or it, may begin or end. */
function lookAt(
  rates: readonly LinkRate[],
  ms: number,
  timeZone: string,
): { readonly untilMs: number; readonly bitsPerSecond: number } {
  let untilMs = Number.POSITIVE_INFINITY
  for (const { when, bitsPerSecond } of rates) {
    if (when !== undefined) untilMs = Math.min(untilMs, when.changesAt(ms, timeZone))
    if (when === undefined || when.holds(ms, timeZone)) return { untilMs, bitsPerSecond }
  }
  return { untilMs, bitsPerSecond: Number.POSITIVE_INFINITY }
}

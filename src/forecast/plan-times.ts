/** How long bytes take over the links of a topology at the rates that it gives them. */
import { limitsInto, type PairLimit } from '../topology/rates.ts'
import type { Schedule } from '../topology/schedule.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

const MS_PER_SECOND = 1_000
const BITS_PER_BYTE = 8
/** Calendars come round every week; a day more for a change of summer time. */
const ROUND_MS = 8 * 86_400_000
/** Changes of rate and of window looked at. */
const MAX_STEPS = 4_000

/** Bits a second, at the best and at the worst hour of a week. Infinity: as fast as they go. */
interface Extremes {
  readonly best: number
  readonly worst: number
}

export interface Rates {
  of(from: NodeName, to: NodeName): Extremes
  limit(from: NodeName, to: NodeName): PairLimit | undefined
}

/** `fromMs`: the week that is looked at, milliseconds since the Unix epoch. */
export function ratesOf(topology: Topology, fromMs: number): Rates {
  const limits = new Map<NodeName, ReadonlyMap<NodeName, PairLimit>>()
  const limit = (from: NodeName, to: NodeName) => {
    const into = limits.get(to) ?? limitsInto(topology, to)
    limits.set(to, into)
    return into.get(from)
  }
  const known = new Map<PairLimit, Extremes>()
  return {
    limit,
    of: (from, to) => {
      const pair = limit(from, to)
      if (pair === undefined) return FREE
      const extremes = known.get(pair) ?? extremesOf(pair, fromMs)
      known.set(pair, extremes)
      return extremes
    },
  }
}

const FREE: Extremes = { best: Number.POSITIVE_INFINITY, worst: Number.POSITIVE_INFINITY }

function extremesOf(pair: PairLimit, fromMs: number): Extremes {
  let [best, worst] = [0, Number.POSITIVE_INFINITY]
  for (let at = fromMs; at < fromMs + ROUND_MS; at = pair.changesAt(at)) {
    const rate = pair.at(at) ?? Number.POSITIVE_INFINITY
    ;[best, worst] = [Math.max(best, rate), Math.min(worst, rate)]
  }
  return { best, worst }
}

/** What holds for a transfer: its rate, and when it may run. */
export interface Passage {
  readonly limit: PairLimit | undefined
  /** Any of them that is open lets it run; undefined: always. */
  readonly windows?: readonly Schedule[]
  /** IANA name, of the receiver. */
  readonly timeZone: string
}

/**
 * Milliseconds from `fromMs` until the last byte is there, other transfers aside. Undefined where no rate is given, or it
 * takes too many windows.
 */
export function timeToMove(
  bytes: number,
  { limit, windows, timeZone }: Passage,
  fromMs: number,
): number | undefined {
  if (limit === undefined) return undefined
  let left = bytes * BITS_PER_BYTE
  let at = fromMs
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const states = (windows ?? []).map((window) => window.at(at, timeZone))
    const open = states.flatMap((state) => (state.isOpen ? [state.untilMs] : []))
    if (states.length > 0 && open.length === 0) {
      at = Math.min(...states.map((state) => (state.isOpen ? at : state.opensMs)))
      if (at === Number.POSITIVE_INFINITY) return undefined
      continue
    }
    const rate = limit.at(at)
    if (rate === undefined) return at - fromMs
    const until = Math.min(
      limit.changesAt(at),
      open.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...open),
    )
    const neededMs = rate === 0 ? Number.POSITIVE_INFINITY : (left / rate) * MS_PER_SECOND
    if (at + neededMs <= until) return Math.ceil(at + neededMs - fromMs)
    if (until === Number.POSITIVE_INFINITY) return undefined
    left -= (rate * (until - at)) / MS_PER_SECOND
    at = until
  }
  return undefined
}

export interface Bottleneck {
  readonly from: NodeName
  readonly to: NodeName
  /** Bits a second. */
  readonly best: number
  readonly worst: number
}

/**
 * The slowest link of the best way to the node that is worst off: no image comes to the last node faster than over it. The
 * best way of a node is the one with the fastest slowest link. Undefined where no rate binds.
 */
export function bottleneckOf(
  rates: Rates,
  writer: NodeName,
  receivers: readonly { readonly node: NodeName; readonly senders: readonly NodeName[] }[],
): Bottleneck | undefined {
  const widths = new Map<NodeName, { readonly width: number; readonly by?: Bottleneck }>([
    [writer, { width: Number.POSITIVE_INFINITY }],
  ])
  for (let isChanged = true; isChanged; ) {
    isChanged = false
    for (const { node, senders } of receivers) {
      for (const from of senders) {
        const there = widths.get(from)
        if (there === undefined || from === node) continue
        const { best, worst } = rates.of(from, node)
        const width = Math.min(there.width, best)
        const known = widths.get(node)
        if (known !== undefined && known.width >= width) continue
        const own = { from, to: node, best, worst }
        const by = best < there.width ? own : there.by
        widths.set(node, by === undefined ? { width } : { width, by })
        isChanged = true
      }
    }
  }
  let slowest: { readonly width: number; readonly by?: Bottleneck } = {
    width: Number.POSITIVE_INFINITY,
  }
  for (const one of widths.values()) if (one.width < slowest.width) slowest = one
  return slowest.by
}

/** Milliseconds of so many bytes at bits a second. */
export function timeAt(bytes: number, bitsPerSecond: number): number {
  return ((bytes * BITS_PER_BYTE) / bitsPerSecond) * MS_PER_SECOND
}

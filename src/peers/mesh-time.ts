/**
 * Mesh time: this node's clock moved by the median offset to its sources. Records are judged by it, so that a node whose
 * clock is wrong still takes what its sources send. A writer whose clock is far from those that it can compare with signs nothing.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { napUntil } from '../lib/nap.ts'
import { clockReferencesOf, timeSourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Neighbour, Neighbours } from './neighbours.ts'

export interface MeshTime {
  /** Milliseconds since the Unix epoch. */
  now(): number
  /** Why this node signs nothing now: how far its clock is off, against whom, what to do. Undefined = it may sign. */
  refusal(): string | undefined
  /** As `refusal`, after those were asked whose offset is old: this node's own clock may have jumped since. */
  check(): Promise<string | undefined>
  /** Called when mesh time moved by more than what passed. */
  onJump(listener: () => void): void
  view(): MeshTimeView
}

export interface MeshTimeView {
  /** Mesh time minus the own clock, milliseconds. */
  readonly offsetMs: number
  /** Nodes that it follows. */
  readonly sources: readonly NodeName[]
  readonly refusal?: string
}

export interface MeshTimeDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Pick<Neighbours, 'list' | 'onClock'>
  /** Measures the offset to a neighbour that is up anew. @throws when it does not answer */
  readonly measure: (node: NodeName) => Promise<void>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** A writer that is so far off refuses to write, milliseconds: what it signs would be parked elsewhere (MAX_AHEAD_MS). */
const MAX_OFF_MS = 60_000
/** An offset is older, milliseconds, only where one of the clocks jumped: feeds bring one every 30 s. */
const MAX_AGE_MS = 45_000
/** So long a push waits for those that are asked anew, milliseconds; who does not answer does not count. */
const ASK_MS = 3_000
/** A change of the offset that parked records are looked at for, milliseconds: more than measuring errs. */
const JUMP_MS = 1_000
/** Names in a message, at most. */
const MAX_NAMES = 5

export function createMeshTime(deps: MeshTimeDeps): MeshTime {
  const { topology, self, neighbours, measure, events, clock, logger } = deps
  const sources = timeSourcesOf(topology, self)
  const isSource = new Set(sources)
  const isReference = new Set(clockReferencesOf(topology, self))
  const listeners: (() => void)[] = []
  let offsetMs = 0
  let reason: string | undefined

  /** Those that are up; where none is, as they were last: a connection that is lost for a moment must not move time. */
  function sourceOffsets(): readonly number[] {
    const known = neighbours.list().filter(({ name }) => isSource.has(name))
    const up = known.filter(({ state }) => state === 'up')
    const offsets = (rows: readonly Neighbour[]) => rows.flatMap((row) => row.clock?.offsetMs ?? [])
    return offsets(up).length > 0 ? offsets(up) : offsets(known)
  }

  function isFresh({ clock: measured }: Neighbour): boolean {
    if (measured === undefined) return false
    const ageMs = clock.now() - measured.atMs
    return ageMs >= 0 && ageMs <= MAX_AGE_MS
  }

  function upReferences(): readonly Neighbour[] {
    return neighbours.list().filter(({ name, state }) => state === 'up' && isReference.has(name))
  }

  function judge(): string | undefined {
    const rows = upReferences().filter(isFresh)
    const off = -medianOf(rows.flatMap((row) => row.clock?.offsetMs ?? []))
    if (Math.abs(off) < MAX_OFF_MS) return undefined
    const names = rows.map(({ name }) => name)
    const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : ''
    const whom = `${names.slice(0, MAX_NAMES).join(', ')}${more}`
    const how = `the clock of node ${self} is ${Math.round(Math.abs(off) / 1_000)} s ${off > 0 ? 'ahead of' : 'behind'} ${whom}`
    const doubt =
      names.length === 1
        ? '; with one other clock alone nobody can tell which of the two is wrong, so it signs nothing'
        : ` (median of ${names.length}), so it signs nothing`
    return `${how}${doubt}; set the clocks right, for example by NTP: it goes on by itself`
  }

  function update(): void {
    const moved = medianOf(sourceOffsets())
    const isJump = Math.abs(moved - offsetMs) > JUMP_MS
    offsetMs = moved
    const before = reason
    reason = judge()
    if ((before === undefined) !== (reason === undefined)) {
      if (reason === undefined) logger.warn({}, 'clock is right again, changes are signed again')
      else logger.error({ reason }, 'clock is wrong, changes are not signed')
      events.emit({ kind: 'writer-clock', ...(reason === undefined ? {} : { reason }) })
    }
    if (isJump) for (const listener of listeners) listener()
  }

  async function measureOld(): Promise<void> {
    const old = upReferences().filter((row) => !isFresh(row))
    if (old.length === 0) return
    const asked = Promise.allSettled(old.map(({ name }) => measure(name)))
    await napUntil(asked, ASK_MS, { clock })
  }

  neighbours.onClock(update)
  return {
    now: () => clock.now() + offsetMs,
    refusal: () => reason,
    check: async () => {
      await measureOld()
      update()
      return reason
    },
    onJump: (listener) => void listeners.push(listener),
    view: () => ({ offsetMs, sources, ...(reason === undefined ? {} : { refusal: reason }) }),
  }
}

/** Of two in the middle the one nearer to 0, which is this node's own clock; 0 of none. */
export function medianOf(offsets: readonly number[]): number {
  if (offsets.length === 0) return 0
  const sorted = [...offsets].sort((a, b) => a - b)
  const high = sorted[Math.floor(sorted.length / 2)] ?? 0
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
  return Math.abs(low) < Math.abs(high) ? low : high
}

export interface ClockReading {
  /** Own clock when the question went out and when the answer was there, milliseconds. */
  readonly sentMs: number
  readonly receivedMs: number
  /** The other's clock when it answered. */
  readonly theirMs: number
  /** How long it let the answer wait. */
  readonly heldMs: number
}

/** Travel of more says too little of the other clock, milliseconds: half of it is the error. */
const MAX_TRAVEL_MS = 10_000
/** Clocks count whole milliseconds, and are slewed while an answer waits. */
const MAX_ROUNDING_MS = 100

/** The other clock minus the own one, milliseconds; undefined where one of them jumped meanwhile, or the way took too long. */
export function offsetOf(reading: ClockReading): number | undefined {
  const { sentMs, receivedMs, theirMs, heldMs } = reading
  const travelMs = receivedMs - sentMs - heldMs
  if (travelMs < -MAX_ROUNDING_MS || travelMs > MAX_TRAVEL_MS) return undefined
  return theirMs + Math.max(0, travelMs) / 2 - receivedMs
}

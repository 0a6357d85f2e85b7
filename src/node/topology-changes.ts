/**
 * Changes of the topology while the node runs: a file comes from the operator of this machine, by the administration API or
 * from a neighbour, is checked against the one that runs, kept, offered to the neighbours of now, and run.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { SealedTopology } from '../gossip/topology-codec.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { Topology } from '../topology/topology.ts'
import {
  type CheckOptions,
  checkSealed,
  checkText,
  type RefusalCode,
  type RunningTopology,
  type TopologyVerdict,
} from './topology-check.ts'
import type { TopologyFiles } from './topology-files.ts'
import { isSealed } from './topology-seal.ts'

export type TopologyOutcome =
  | { readonly kind: 'adopted'; readonly generation: number }
  /** It runs here already. */
  | { readonly kind: 'known'; readonly generation: number }
  | {
      readonly kind: 'refused'
      readonly code: RefusalCode | 'NODE_STARTING' | 'NOT_RUN'
      readonly reason: string
    }

export interface RejectedTopology {
  /** Undefined where the file could not be read so far. */
  readonly generation?: number
  /** Where it came from: a neighbour, `apply` or `reload`. */
  readonly from: string
  readonly reason: string
  readonly atMs: number
}

export interface TopologyChanges {
  running(): RunningTopology
  /** The last one that was refused since the start. */
  rejected(): RejectedTopology | undefined
  /** A file signed by the owner. Resolves when it runs here, or does not. */
  apply(sealed: SealedTopology): Promise<TopologyOutcome>
  /** Files of a neighbour, in the order of their generations: the last one that may run here does. */
  takeFiles(files: readonly SealedTopology[], from: string): Promise<void>
  /** The word of this machine's operator: it needs no signature, and is not spread. */
  reload(text: string): Promise<TopologyOutcome>
  /** What this node can give to others. */
  sealed(): readonly SealedTopology[]
  /** From now on files are taken. */
  open(): void
  /** No file is taken any more; resolves when none is being run. */
  close(): Promise<void>
}

export interface TopologyChangesDeps extends CheckOptions {
  readonly files: TopologyFiles
  /** Runs it. @throws when it cannot; the former one runs then */
  readonly replace: (topology: Topology) => Promise<void>
  /** Offers what `sealed` gives to those who are connected; resolves when they have it, or after some time. */
  readonly offer: () => Promise<void>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Refusals that are remembered so as not to be logged again. */
const MAX_REPORTED = 100
/**
 * A file that could not be run is not tried again for so long when neighbours give it, milliseconds: each trial costs the node
 * its connections, and with each new connection they give it again.
 */
const NOT_AGAIN_MS = 600_000
const STARTING = 'this node is starting; try again when it is ready (/readyz)'

export function createTopologyChanges(
  deps: TopologyChangesDeps,
  first: RunningTopology,
): TopologyChanges {
  const { files, replace, offer, events, clock, logger } = deps
  const reported = createSeenSet({ limit: MAX_REPORTED })
  let running = first
  let rejected: RejectedTopology | undefined
  let isOpen = false
  /** Neighbours connect, and give, a moment before the node is ready. */
  const opened = Promise.withResolvers<void>()
  let failed: { readonly text: string; readonly atMs: number } | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** One change after the other: each is checked against what runs then. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  function reject(
    from: string,
    generation: number | undefined,
    { code, reason }: Pick<Extract<TopologyOutcome, { kind: 'refused' }>, 'code' | 'reason'>,
  ): TopologyOutcome {
    const which = generation === undefined ? {} : { generation }
    rejected = { ...which, from, reason, atMs: clock.now() }
    if (reported.add(`${from} ${generation} ${reason}`)) {
      logger.error({ from, ...which, code, reason }, 'topology refused, the former one runs on')
      events.emit({ kind: 'topology-refused', from, ...which, reason })
    }
    return { kind: 'refused', code, reason }
  }

  async function run(next: RunningTopology, from: string): Promise<TopologyOutcome> {
    const { generation, hash } = next.topology
    const before = running
    try {
      // The one that goes too: those who stand in it alone are let in, to be told of the next.
      for (const one of [before, next]) await files.keep(one)
    } catch (err) {
      return reject(from, generation, { code: 'NOT_RUN', reason: `not kept: ${messageOf(err)}` })
    }
    running = next
    // Neighbours that are none by the new file would never hear of it.
    if (next.sealed !== undefined) await offer()
    const beganAt = clock.now()
    try {
      await replace(next.topology)
    } catch (err) {
      running = before
      failed = { text: next.text, atMs: clock.now() }
      await files.forget(generation)
      return reject(from, generation, { code: 'NOT_RUN', reason: messageOf(err) })
    }
    const tookMs = clock.now() - beganAt
    rejected = undefined
    logger.info({ generation, from, tookMs }, 'topology taken up')
    events.emit({ kind: 'topology-adopted', generation, hash, from })
    return { kind: 'adopted', generation }
  }

  async function settle(
    verdict: TopologyVerdict,
    from: string,
    generation?: number,
  ): Promise<TopologyOutcome> {
    if (verdict.kind === 'known') return { kind: 'known', generation: running.topology.generation }
    if (verdict.kind === 'refused') return reject(from, verdict.generation ?? generation, verdict)
    for (const { severity, line, column, path, message } of verdict.findings) {
      if (severity !== 'warning') continue
      logger.warn({ line, column, path, message }, 'the new topology has a warning')
    }
    return run(verdict.next, from)
  }

  function hasFailed({ text }: SealedTopology): boolean {
    if (failed?.text !== text) return false
    const ageMs = clock.now() - failed.atMs
    return ageMs >= 0 && ageMs < NOT_AGAIN_MS
  }

  /** The file that runs here by an operator's word alone can be given to others from now on. */
  async function noteSeal(sealed: SealedTopology): Promise<void> {
    const { topology, text } = running
    const isSame = sealed.text === text && sealed.generation === topology.generation
    if (running.sealed !== undefined || !isSame || sealed.realm !== topology.realm) return
    if (sealed.signer !== topology.owner || !isSealed(sealed)) return
    running = { ...running, sealed }
    await files.keep(running)
  }

  return {
    running: () => running,
    rejected: () => rejected,
    sealed: () => files.list().flatMap((file) => file.sealed ?? []),
    apply: (sealed) =>
      inTurn(async () => {
        if (!isOpen) return { kind: 'refused', code: 'NODE_STARTING', reason: STARTING }
        await noteSeal(sealed)
        return settle(checkSealed(sealed, running, deps), 'apply', sealed.generation)
      }),
    reload: (text) =>
      inTurn(async () => {
        if (!isOpen) return { kind: 'refused', code: 'NODE_STARTING', reason: STARTING }
        return settle(checkText(text, running, deps), 'reload')
      }),
    takeFiles: async (given, from) => {
      await opened.promise
      await inTurn(async () => {
        if (!isOpen) return
        let newest: Extract<TopologyVerdict, { kind: 'good' }> | undefined
        for (const sealed of given) {
          await noteSeal(sealed)
          const base = newest?.next ?? running
          if (sealed.generation <= base.topology.generation || hasFailed(sealed)) continue
          const verdict = checkSealed(sealed, base, deps)
          if (verdict.kind === 'refused') reject(from, sealed.generation, verdict)
          if (verdict.kind !== 'good') continue
          // Kept though a newer one may follow: others need it to believe that one.
          await files.keep(verdict.next)
          newest = verdict
        }
        if (newest !== undefined) await settle(newest, from)
      }).catch((err: unknown) => logger.error({ err, from }, 'topology of a neighbour not taken'))
    },
    open: () => {
      isOpen = true
      opened.resolve()
    },
    close: async () => {
      isOpen = false
      opened.resolve()
      await last
    },
  }
}

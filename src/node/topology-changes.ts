/**
 * Changes of the topology while the node runs: a file comes from the operator of this machine, by the administration API or
 * from a neighbour, is checked against the one that runs, kept, offered to the neighbours of now, and run.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { SealedTopology } from '../gossip/topology-codec.ts'
import type { Clock } from '../lib/clock.ts'
import { codeOf, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Topology } from '../topology/topology.ts'
import {
  type CheckOptions,
  checkSealed,
  checkText,
  type RunningTopology,
  type TopologyVerdict,
} from './topology-check.ts'
import type { TopologyFiles } from './topology-files.ts'
import {
  createTopologyRefusals,
  type RejectedTopology,
  type TopologyRefusal,
} from './topology-refusals.ts'
import { isSealed } from './topology-seal.ts'

export type TopologyOutcome =
  | { readonly kind: 'adopted'; readonly generation: number }
  /** It runs here already. */
  | { readonly kind: 'known'; readonly generation: number }
  | TopologyRefusal

export interface TopologyChanges {
  running(): RunningTopology
  /** Files above this generation are of use: that of what runs, or is about to. */
  above(): number
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
  /** Runs it; see Terms. */
  readonly replace: (topology: Topology, onNotRun: () => Promise<void>) => Promise<void>
  /** Offers what `sealed` gives to those who are connected; resolves when they have it, or after some time. */
  readonly offer: () => Promise<void>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * A file that could not be kept or run is not tried again for so long when neighbours give it, milliseconds: each trial costs the
 * node its connections, and with each new connection they give it again. After that it is tried once more: nobody may give it then.
 */
const NOT_AGAIN_MS = 600_000
const STARTING = 'this node is starting; try again when it is ready (/readyz)'

export function createTopologyChanges(
  deps: TopologyChangesDeps,
  first: RunningTopology,
): TopologyChanges {
  const { files, replace, offer, events, clock, logger } = deps
  const refusals = createTopologyRefusals(deps)
  let running = first
  /** Kept, and about to run. */
  let coming: RunningTopology | undefined
  let isOpen = false
  /** Neighbours connect, and give, a moment before the node is ready. */
  const opened = Promise.withResolvers<void>()
  let failed: { readonly text: string; readonly atMs: number } | undefined
  let again = new AbortController()
  let last: Promise<unknown> = Promise.resolve()

  /** One change after the other: each is checked against what runs then. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  /** Of this node's own fault. */
  function notRun(from: string, generation: number | undefined, err: unknown): TopologyOutcome {
    return refusals.note(from, generation, { code: 'NOT_RUN', reason: messageOf(err) })
  }

  async function keep(one: RunningTopology): Promise<void> {
    try {
      await files.keep(one)
    } catch (cause) {
      throw new Error(`not kept: ${messageOf(cause)}`, { cause })
    }
  }

  async function forget(generation: number): Promise<void> {
    await files.forget(generation).catch((err: unknown) => {
      logger.error({ err, generation }, 'a topology that cannot be run stays on disk, remove it')
    })
  }

  function tryLater(sealed: SealedTopology, from: string): void {
    failed = { text: sealed.text, atMs: clock.now() }
    again.abort()
    again = new AbortController()
    clock.sleep(NOT_AGAIN_MS, { signal: again.signal }).then(
      () => takeFiles([sealed], from),
      () => {},
    )
  }

  async function run(next: RunningTopology, from: string): Promise<TopologyOutcome> {
    const { generation, hash } = next.topology
    const { sealed } = next
    let beganAt: number
    coming = next
    try {
      // The one that goes too: those who stand in it alone are let in, to be told of the next.
      for (const one of [running, next]) await keep(one)
      // Neighbours that are none by the new file would never hear of it.
      if (sealed !== undefined) await offer()
      beganAt = clock.now()
      // A process that ends before the former one runs again must not come up with this one.
      await replace(next.topology, () => forget(generation))
    } catch (err) {
      const code = codeOf(err)
      if (code === 'NODE_STOPPING')
        return { kind: 'refused', code: 'NOT_RUN', reason: messageOf(err) }
      // What was not offered yet is nobody's but the one's who gives it.
      const isOut = from !== 'apply' || code === 'TOPOLOGY_NOT_RUN'
      if (sealed !== undefined && isOut) tryLater(sealed, from)
      return notRun(from, generation, err)
    } finally {
      coming = undefined
    }
    running = next
    const tookMs = clock.now() - beganAt
    refusals.clear()
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
    if (verdict.kind === 'refused') {
      return refusals.note(from, verdict.generation ?? generation, verdict)
    }
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
    await keep({ ...running, sealed })
    running = { ...running, sealed }
  }

  async function takeFiles(given: readonly SealedTopology[], from: string): Promise<void> {
    await opened.promise
    await inTurn(async () => {
      if (!isOpen) return
      let newest: Extract<TopologyVerdict, { kind: 'good' }> | undefined
      for (const sealed of given) {
        try {
          await noteSeal(sealed)
          const base = newest?.next ?? running
          if (sealed.generation <= base.topology.generation || hasFailed(sealed)) continue
          const verdict = checkSealed(sealed, base, deps)
          if (verdict.kind === 'refused') {
            refusals.note(from, sealed.generation, verdict)
          }
          if (verdict.kind !== 'good') continue
          // Kept though a newer one follows: others need it to believe that one.
          if (newest !== undefined) await keep(newest.next)
          newest = verdict
        } catch (err) {
          notRun(from, sealed.generation, err)
          tryLater(sealed, from)
        }
      }
      if (newest !== undefined) await settle(newest, from)
    }).catch((err: unknown) => logger.error({ err, from }, 'topology of a neighbour not taken'))
  }

  return {
    running: () => running,
    above: () => {
      const { topology, sealed } = coming ?? running
      // A file that an operator gave this node alone may come again, signed: then it can be given to others.
      return sealed === undefined ? topology.generation - 1 : topology.generation
    },
    rejected: refusals.last,
    sealed: () => files.list().flatMap((file) => file.sealed ?? []),
    apply: (sealed) =>
      inTurn(async () => {
        if (!isOpen) return { kind: 'refused', code: 'NODE_STARTING', reason: STARTING }
        try {
          await noteSeal(sealed)
        } catch (err) {
          return notRun('apply', sealed.generation, err)
        }
        return settle(checkSealed(sealed, running, deps), 'apply', sealed.generation)
      }),
    reload: (text) =>
      inTurn(async () => {
        if (!isOpen) return { kind: 'refused', code: 'NODE_STARTING', reason: STARTING }
        return settle(checkText(text, running, deps), 'reload')
      }),
    takeFiles,
    open: () => {
      isOpen = true
      opened.resolve()
    },
    close: async () => {
      isOpen = false
      opened.resolve()
      again.abort()
      await last
    },
  }
}

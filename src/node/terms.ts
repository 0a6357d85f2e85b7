/** The terms of a node, one after the other: what is asked of the node reaches the present one. */
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type App, createChangeGate } from './change-gate.ts'
import type { Term, TermOptions } from './term.ts'

export interface Terms extends AsyncDisposable {
  readonly app: App
  current(): Term
  /** Joins the mesh. */
  start(): Promise<void>
  /**
   * Closes the present term and opens one with this topology. One call at a time. `onNotRun`: before the former one is taken up again.
   * @throws TOPOLOGY_NOT_RUN when the former topology runs again; NODE_STOPPING when nothing does
   */
  replace(topology: Topology, onNotRun: () => Promise<void>): Promise<void>
  /** Resolves when no topology could be run for too long: nothing but a new process helps. */
  readonly lost: Promise<EntrepotError>
}

export interface TermsDeps {
  readonly self: NodeName
  readonly topology: Topology
  readonly open: (topology: Topology, options: TermOptions) => Promise<Term>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A port that another process took for a moment is free within seconds. */
const RETRY = { firstMs: 500, capMs: 10_000 }
/** A layer that a restart left is hashed from the disk and made durable, and a port is free again, long before; milliseconds. */
const LOST_MS = 300_000

export async function openTerms(
  deps: TermsDeps,
  { mustAdopt, signal }: Pick<TermOptions, 'mustAdopt' | 'signal'>,
): Promise<Terms> {
  const { self, clock, random, logger } = deps
  let term = await deps.open(deps.topology, { mustAdopt, signal })
  const gate = createChangeGate({ app: () => term.app, clock })
  const lost = Promise.withResolvers<EntrepotError>()
  let replacing: Promise<void> = Promise.resolve()

  async function open(topology: Topology, before: Term): Promise<void> {
    // Its disk is the same as ever: only what it had not read back yet is left to be read.
    const unreadBefore = isWriter(before.topology, self) ? before.core.readBack.unread() : undefined
    const opened = await deps.open(topology, { mustAdopt: false, unreadBefore, signal })
    try {
      await opened.start()
    } catch (err) {
      await close(opened)
      throw err
    }
    term = opened
  }

  /** A part that does not close as it should must not leave the node without a term. */
  async function close(one: Term): Promise<void> {
    try {
      await one[Symbol.asyncDispose]()
    } catch (err) {
      logger.error({ err }, 'a part of the node did not close as it should')
    }
  }

  /** It ran a moment ago: what is in its way goes again. Reading goes on meanwhile. @throws when the node is stopped */
  async function openAtLast(before: Term): Promise<void> {
    for (let failures = 1; ; failures += 1) {
      try {
        await open(before.topology, before)
        return
      } catch (err) {
        signal.throwIfAborted()
        logger.error({ err }, 'the node is without its mesh, that is tried again')
        await clock.sleep(backoffMs(failures, RETRY, random), { signal })
      }
    }
  }

  async function follow(topology: Topology, onNotRun: () => Promise<void>): Promise<void> {
    const before = term
    await gate.shut()
    await close(before)
    try {
      await open(topology, before)
    } catch (cause) {
      signal.throwIfAborted()
      logger.error({ err: cause }, 'the topology cannot be run, the former one is taken up again')
      await onNotRun()
      await openAtLast(before)
      const message = `it cannot be run here: ${messageOf(cause)}`
      throw new EntrepotError('TOPOLOGY_NOT_RUN', message, { cause })
    }
  }

  async function replace(topology: Topology, onNotRun: () => Promise<void>): Promise<void> {
    const over = new AbortController()
    clock.sleep(LOST_MS, { signal: over.signal }).then(
      () => lost.resolve(lostNode(topology)),
      () => {},
    )
    try {
      await follow(topology, onNotRun)
    } catch (err) {
      if (!signal.aborted) throw err
      const message = 'this node is stopping; it takes the topology up at its next start'
      throw new EntrepotError('NODE_STOPPING', message, { cause: err })
    } finally {
      over.abort()
      gate.open()
    }
  }

  return {
    app: gate,
    current: () => term,
    start: () => term.start(),
    replace: (topology, onNotRun) => {
      const done = replace(topology, onNotRun)
      replacing = done.catch(() => {})
      return done
    },
    lost: lost.promise,
    [Symbol.asyncDispose]: async () => {
      await replacing
      await term[Symbol.asyncDispose]()
    },
  }
}

function lostNode({ generation }: Topology): EntrepotError {
  const message = `while generation ${generation} of the topology was taken up neither it nor the former one came to run within ${LOST_MS / 1_000} s; the log says what was in the way. The node ends, nothing acknowledged is lost: start it again`
  return new EntrepotError('NODE_LOST', message)
}

function isWriter({ origins }: Topology, node: NodeName): boolean {
  return origins.some(({ writers }) => writers.includes(node))
}

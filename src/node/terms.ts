/** The terms of a node, one after the other: what is asked of the node reaches the present one. */
import { backoffMs } from '../lib/backoff.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type App, createChangeGate } from './change-gate.ts'
import { openTerm, type Term, type TermDeps } from './term.ts'

export interface Terms extends AsyncDisposable {
  readonly app: App
  current(): Term
  /** Joins the mesh. */
  start(): Promise<void>
  /** Closes the present term and opens one with this topology. One call at a time. @throws TOPOLOGY_NOT_RUN; the former topology runs then */
  replace(topology: Topology): Promise<void>
}

/** A port that another process took for a moment is free within seconds. */
const RETRY = { firstMs: 500, capMs: 10_000 }

export async function openTerms(
  deps: TermDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<Terms> {
  const { foundation } = deps
  const { clock, random, self, logger } = foundation
  let term = await openTerm(deps, { mustAdopt: foundation.mustAdopt, signal })
  const gate = createChangeGate({ app: () => term.app, clock })
  let replacing: Promise<void> = Promise.resolve()

  async function open(topology: Topology, before: Term): Promise<void> {
    // Its disk is the same as ever: only what it had not read back yet is left to be read.
    const unreadBefore = isWriter(before.topology, self) ? before.core.readBack.unread() : undefined
    const opened = await openTerm({ ...deps, topology }, { mustAdopt: false, unreadBefore, signal })
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

  async function replace(topology: Topology): Promise<void> {
    const before = term
    await gate.shut()
    try {
      await close(before)
      await open(topology, before)
    } catch (cause) {
      logger.error({ err: cause }, 'the topology cannot be run, the former one is taken up again')
      await openAtLast(before)
      const message = `it cannot be run here: ${messageOf(cause)}`
      throw new EntrepotError('TOPOLOGY_NOT_RUN', message, { cause })
    } finally {
      gate.open()
    }
  }

  return {
    app: gate,
    current: () => term,
    start: () => term.start(),
    replace: (topology) => {
      const done = replace(topology)
      replacing = done.catch(() => {})
      return done
    },
    [Symbol.asyncDispose]: async () => {
      await replacing
      await term[Symbol.asyncDispose]()
    },
  }
}

function isWriter({ origins }: Topology, node: NodeName): boolean {
  return origins.some(({ writers }) => writers.includes(node))
}

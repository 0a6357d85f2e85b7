/**
 * Adoption while the node serves: what is found is served at once. The node joins the mesh, and is ready, when all of it was
 * looked at: so what the mesh says meets what was found, never the half of it. What nobody in the mesh knows is signed after
 * that, where this node may write it.
 */
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { napUntil } from '../lib/nap.ts'
import { type AdoptionDeps, adopt } from '../storage/adoption.ts'
import { isUnsigned, type SignAdoptedDeps, signAdopted } from '../storage/sign-adopted.ts'

export interface Adopting extends AsyncDisposable {
  /** Resolves when everything on disk was looked at, or could not be; or at the signal. */
  over(): Promise<void>
}

export interface AdoptingDeps extends AdoptionDeps, SignAdoptedDeps {
  /** Resolves when what the neighbours know was read. */
  readonly readBack: { complete(): Promise<void>; unread(): readonly string[] }
  /** Why nothing can be signed now, for a person. */
  readonly signing: { pass(): Promise<string | undefined> }
  readonly clock: Clock
  readonly logger: Logger
}

/** Findings that are logged one by one: an operator who needs them all runs `entrepot adopt`. */
const MAX_LOGGED = 100
/**
 * So long a neighbour that is not reached is waited for before adopted content is signed, milliseconds. Its records may be
 * newer than what is on this disk, and would lose against what is signed now.
 */
const SIGN_AFTER_MS = 600_000
/** Between two looks whether records may be signed, milliseconds. */
const RETRY_MS = 30_000

export function startAdopting(
  { logger, ...deps }: AdoptingDeps,
  { mustAdopt, signal: given }: { readonly mustAdopt: boolean; readonly signal: AbortSignal },
): Adopting {
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, given])
  const over = Promise.withResolvers<void>()
  let logged = 0

  async function run(): Promise<void> {
    try {
      if (mustAdopt) await adoptAll()
    } catch (err) {
      if (signal.aborted) return over.resolve()
      logger.error({ err }, 'adoption was interrupted, the next start begins it again')
    }
    over.resolve()
    try {
      if (isUnsigned(deps.index)) await signAll()
    } catch (err) {
      if (signal.aborted) return
      logger.error({ err }, 'adopted content not signed, the next start begins it again')
    }
  }

  async function adoptAll(): Promise<void> {
    const { findings, isDone, ...counts } = await adopt(deps, {
      signal,
      onFinding: ({ kind, path, expected, came, todo }) => {
        logged += 1
        if (logged > MAX_LOGGED) return
        logger.warn({ kind, path, expected, came, todo }, 'adoption found something wrong')
      },
    })
    if (counts.repositories > 0) logger.info({ ...counts, findings }, 'content on disk adopted')
    if (!isDone) {
      const todo = 'stop the node and run entrepot adopt: it says which, and what can be done'
      logger.error({ findings, todo }, 'manifests cannot be read, nothing is collected until then')
    }
  }

  async function signAll(): Promise<void> {
    const neighbours = deps.readBack.unread()
    if (neighbours.length > 0) {
      logger.info({ neighbours }, 'adopted content is signed when these neighbours were read')
    }
    await napUntil(deps.readBack.complete(), SIGN_AFTER_MS, { clock: deps.clock, signal })
    signal.throwIfAborted()
    await untilSigning()
    const unread = deps.readBack.unread()
    const { tags, digests, left } = await signAdopted(deps, { signal })
    if (tags + digests === 0) return
    const without = unread.length === 0 ? {} : { unread }
    logger.info({ tags, digests, left, ...without }, 'adopted content signed as pushed here')
  }

  /** A writer whose clock is wrong signs nothing. */
  async function untilSigning(): Promise<void> {
    for (let told: string | undefined; ; ) {
      const reason = await deps.signing.pass()
      if (reason === undefined) return
      if (told === undefined) logger.warn({ reason }, 'adopted content is not signed yet')
      told = reason
      await deps.clock.sleep(RETRY_MS, { signal })
    }
  }

  const running = run()
  return {
    over: () => over.promise,
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      await running
    },
  }
}

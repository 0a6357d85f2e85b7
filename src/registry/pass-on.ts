/** Which requests go on to a writer: pushes where the topology says so, and what somebody reads of a push of a moment ago. */
import type { Action, Caller } from '../access/access.ts'
import { OciError } from '../oci/errors.ts'
import { comesWithToken, type ElsewhereRequest, type RepositoryTarget } from './elsewhere.ts'
import { refuseOtherRegistry } from './own-name.ts'
import type { Target } from './path.ts'
import { proxyPush } from './proxy-push.ts'
import { redirectPush } from './redirect-push.ts'
import { type RegistryDeps, type RegistryRequest, unauthorized } from './request.ts'

export type IncomingRequest = Omit<RegistryRequest, 'caller'> &
  ElsewhereRequest & {
    /** Undefined for credentials that nobody here gave out. */
    readonly caller: Caller | undefined
  }

/**
 * Pushes; requests whose credentials nobody here gave out (the writer judges them); and questions to which the writer of a
 * push that went through this node may have the newer answer. Nodes push nothing, and their tokens go no further.
 * @returns undefined for what this node answers itself
 */
export async function passOn(
  deps: RegistryDeps,
  request: IncomingRequest,
  target: Target,
  action: Action,
): Promise<Response | undefined> {
  const way = wayOf(deps, request, target)
  if (way === undefined || !('repository' in target)) return undefined
  if (action !== 'pull') return send(deps, request, target)
  if (way === 'redirect') return undefined
  if (request.caller === undefined) return send(deps, request, target)
  return (await isNewer(deps, request, target)) ? ask(deps, request, target) : undefined
}

/**
 * For what is not here: where it was pushed through this node a moment ago, its writer has it. docker looks at each layer
 * that it has pushed, and people read what they push. Nothing else of the writer is shown: links say what this node may
 * have. Who is redirected asks the writer for itself. @returns undefined where that does not help
 */
export async function passOnAbsent(
  deps: RegistryDeps,
  request: IncomingRequest,
  target: Target,
): Promise<Response | undefined> {
  const { writers, pushes } = deps.elsewhere
  const way = wayOf(deps, request, target)
  if (way === undefined || (target.kind !== 'blob' && target.kind !== 'manifest')) return undefined
  const isAsked = way === 'proxy' && target.kind === 'blob' && request.method === 'HEAD'
  if (isAsked || (request.method !== 'GET' && request.method !== 'HEAD')) return undefined
  const { repository } = target
  const pushed = pushes.digestOf(
    repository,
    target.kind === 'blob' ? target.digest : target.reference,
  )
  const isThere = way === 'proxy' ? pushed !== undefined : writers.latest(repository) !== undefined
  return isThere ? ask(deps, request, target) : undefined
}

function wayOf(
  { elsewhere }: RegistryDeps,
  request: IncomingRequest,
  target: Target,
): 'redirect' | 'proxy' | undefined {
  if (!('repository' in target) || comesWithToken(request)) return undefined
  return elsewhere.wayOf(target.repository)
}

async function isNewer(
  { elsewhere, content }: RegistryDeps,
  { method }: IncomingRequest,
  target: RepositoryTarget,
): Promise<boolean> {
  const { repository } = target
  // A client does not push what it finds here: it has to be at the writer, which may have collected it.
  if (target.kind === 'blob') {
    return method === 'HEAD' && elsewhere.writers.latest(repository) !== undefined
  }
  if (target.kind !== 'manifest') return false
  const pushed = elsewhere.pushes.digestOf(repository, target.reference)
  if (pushed === undefined) return false
  const here = await content.statManifest(repository, target.reference)
  return here !== undefined && here.digest !== pushed
}

/** @returns undefined when no writer answers: what this node says itself is better then */
async function ask(
  deps: RegistryDeps,
  request: IncomingRequest,
  target: RepositoryTarget,
): Promise<Response | undefined> {
  try {
    return await send(deps, request, target)
  } catch (err) {
    if (err instanceof OciError) return undefined
    throw err
  }
}

async function send(
  deps: RegistryDeps,
  request: IncomingRequest,
  target: RepositoryTarget,
): Promise<Response> {
  const { access, elsewhere } = deps
  const { caller } = request
  // As where a push is refused: who may read here is told the way.
  if (caller !== undefined && access.may(caller, 'pull', target.repository).kind !== 'allowed')
    throw unauthorized()
  refuseOtherRegistry(deps, request)
  return elsewhere.wayOf(target.repository) === 'proxy'
    ? proxyPush(deps, request, target)
    : redirectPush(elsewhere, request, target)
}

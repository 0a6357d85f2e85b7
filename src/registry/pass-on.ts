/** Which requests go on to a writer: pushes where the topology says so, and what somebody reads of a push of theirs. */
import type { Action, Caller } from '../access/access.ts'
import { OciError } from '../oci/errors.ts'
import type { ElsewhereRequest, RepositoryTarget } from './elsewhere.ts'
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
 * Pushes, requests whose credentials nobody here gave out (the writer judges them), and questions about what was pushed
 * through this node a moment ago. Nodes push nothing, and their tokens go no further.
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
  if (request.caller === undefined) return way === 'proxy' ? send(deps, request, target) : undefined
  return (await isFresher(deps, request, target)) ? readElsewhere(deps, request, target) : undefined
}

/**
 * Asks the writer for what is not here, where a push to the repository went through this node lately: docker looks at each
 * layer that it has pushed, and others read what they have just pushed. @returns undefined where that does not help
 */
export async function readElsewhere(
  deps: RegistryDeps,
  request: IncomingRequest,
  target: Target,
): Promise<Response | undefined> {
  if (target.kind !== 'blob' && target.kind !== 'manifest') return undefined
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
  if (wayOf(deps, request, target) === undefined) return undefined
  if (deps.elsewhere.writers.latest(target.repository) === undefined) return undefined
  try {
    return await send(deps, request, target)
  } catch (err) {
    // What this node says itself is the better answer.
    if (err instanceof OciError) return undefined
    throw err
  }
}

function wayOf(
  { elsewhere }: RegistryDeps,
  { caller }: IncomingRequest,
  target: Target,
): 'redirect' | 'proxy' | undefined {
  if (!('repository' in target) || caller?.kind === 'node') return undefined
  return elsewhere.wayOf(target.repository)
}

/** Whether a writer may know better what the client asks for than this node, which has an answer. */
async function isFresher(
  { elsewhere, content }: RegistryDeps,
  { method }: IncomingRequest,
  target: RepositoryTarget,
): Promise<boolean> {
  // What a client does not push since it is here has to be at the writer.
  if (target.kind === 'blob') return method === 'HEAD'
  if (target.kind !== 'manifest') return false
  const { repository, reference } = target
  const pushed = elsewhere.pushes.digestOf(repository, reference)
  if (pushed === undefined) return false
  const here = await content.statManifest(repository, reference)
  return here?.digest !== pushed
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

/** The OCI distribution API: who asks, what for, and which route answers. */
import { Readable } from 'node:stream'
import { type Context, Hono } from 'hono'
import type { Action } from '../access/access.ts'
import { codeOf } from '../lib/errors.ts'
import { OciError, type OciErrorCode } from '../oci/errors.ts'
import { deleteBlob, getBlob } from './blob-routes.ts'
import type { ElsewhereRequest } from './elsewhere.ts'
import { errorResponse } from './error-response.ts'
import { listReferrers, listRepositories, listTags } from './listing-routes.ts'
import { deleteManifest, getManifest, putManifest } from './manifest-routes.ts'
import { refuseOtherRegistry } from './own-name.ts'
import { type IncomingRequest, passOn, passOnAbsent } from './pass-on.ts'
import { parsePath, type Target } from './path.ts'
import { proxyPing } from './proxy-push.ts'
import {
  authorize,
  headerOf,
  type NodeBindings,
  type RegistryDeps,
  type RegistryRequest,
  unauthorized,
} from './request.ts'
import { deleteUpload, getUpload, patchUpload, postUpload, putUpload } from './upload-routes.ts'

type RegistryContext = Context<{ Bindings: NodeBindings }>

/** Mounted at the root: it answers everything below /v2/. */
export function createRegistryApp(deps: RegistryDeps): Hono<{ Bindings: NodeBindings }> {
  const app = new Hono<{ Bindings: NodeBindings }>()
  app.all('/v2', (context) => answer(deps, context))
  app.all('/v2/*', (context) => answer(deps, context))
  return app
}

async function answer(deps: RegistryDeps, context: RegistryContext): Promise<Response> {
  try {
    const { caller, ...asked } = toRequest(deps, context)
    const path = rawPath(context).replace(/^\/v2\/?/, '')
    if (path === '') {
      return caller === undefined
        ? await pingElsewhere(deps, asked)
        : ping(deps, { ...asked, caller })
    }
    const target = parsePath(path, asked.method)
    if (target === undefined)
      throw new OciError('NAME_UNKNOWN', { message: 'no such route of the OCI API' })
    const action = routeOf(asked.method, target)?.action
    const passed = action && (await passOn(deps, { ...asked, caller }, target, action))
    if (passed !== undefined) return passed
    if (caller === undefined) throw unauthorized()
    const answering = route(deps, { ...asked, caller }, target)
    return await answering.catch(async (err: unknown) => {
      const answer = isAbsent(err) && (await passOnAbsent(deps, { ...asked, caller }, target))
      if (answer) return answer
      throw err
    })
  } catch (err) {
    // The client is gone: nobody reads an answer, and nothing is wrong here.
    if (codeOf(err) === 'ECONNRESET' || codeOf(err) === 'ERR_STREAM_PREMATURE_CLOSE') {
      return new Response(null, { status: 400 })
    }
    return errorResponse(err, deps.logger)
  }
}

const ABSENT: ReadonlySet<string | undefined> = new Set<OciErrorCode>([
  'BLOB_UNKNOWN',
  'MANIFEST_UNKNOWN',
  'NAME_UNKNOWN',
])

function isAbsent(err: unknown): boolean {
  return err instanceof OciError && ABSENT.has(err.code)
}

type Handle<K extends Target['kind']> = (
  deps: RegistryDeps,
  request: RegistryRequest,
  target: Extract<Target, { readonly kind: K }>,
) => Promise<Response>

interface Route {
  /** What its caller must be allowed to do in the repository. */
  readonly action: Action
  readonly handle: (
    deps: RegistryDeps,
    request: RegistryRequest,
    target: never,
  ) => Promise<Response>
}

/** One handler: given the parts of its kind of target. */
function on<K extends Target['kind']>(
  kind: K,
  method: string,
  action: Action,
  handle: Handle<K>,
): readonly [string, Route] {
  return [`${method} ${kind}`, { action, handle }]
}

const ROUTES: ReadonlyMap<string, Route> = new Map([
  on('catalog', 'GET', 'pull', (deps, request) => listRepositories(deps, request)),
  on('tags', 'GET', 'pull', (deps, request, to) => listTags(deps, request, to.repository)),
  on('referrers', 'GET', 'pull', (deps, request, to) =>
    listReferrers(deps, request, to.repository, to.digest),
  ),
  on('blob', 'GET', 'pull', (deps, request, to) =>
    getBlob(deps, request, to.repository, to.digest),
  ),
  on('blob', 'DELETE', 'delete', (deps, _, to) => deleteBlob(deps, to.repository, to.digest)),
  on('manifest', 'GET', 'pull', (deps, request, to) =>
    getManifest(deps, request, to.repository, to.reference),
  ),
  on('manifest', 'PUT', 'push', (deps, request, to) =>
    putManifest(deps, request, to.repository, to.reference),
  ),
  on('manifest', 'DELETE', 'delete', (deps, _, to) =>
    deleteManifest(deps, to.repository, to.reference),
  ),
  on('uploads', 'POST', 'push', (deps, request, to) => postUpload(deps, request, to.repository)),
  on('upload', 'GET', 'push', (deps, _, to) => getUpload(deps, to.repository, to.id)),
  on('upload', 'PATCH', 'push', (deps, request, to) =>
    patchUpload(deps, request, to.repository, to.id),
  ),
  on('upload', 'PUT', 'push', (deps, request, to) =>
    putUpload(deps, request, to.repository, to.id),
  ),
  on('upload', 'DELETE', 'push', (deps, _, to) => deleteUpload(deps, to.repository, to.id)),
])

function routeOf(method: string, { kind }: Target): Route | undefined {
  return ROUTES.get(`${method === 'HEAD' ? 'GET' : method} ${kind}`)
}

async function route(
  deps: RegistryDeps,
  request: RegistryRequest,
  target: Target,
): Promise<Response> {
  const found = routeOf(request.method, target)
  if (found === undefined) {
    throw new OciError('UNSUPPORTED', { message: `${request.method} is not supported here` })
  }
  // The catalog is of no repository: it shows what its caller may read.
  if ('repository' in target) authorize(deps, request, found.action, target.repository)
  refuseOtherRegistry(deps, request)
  return found.handle(deps, request, target as never)
}

/** `docker login`: who judges the credentials of a push also judges them here. */
async function pingElsewhere(deps: RegistryDeps, request: ElsewhereRequest): Promise<Response> {
  const answer = await proxyPing(deps, request)
  if (answer === undefined) throw unauthorized()
  return answer
}

function ping({ access }: RegistryDeps, { caller }: RegistryRequest): Response {
  if (access.mayList(caller).kind !== 'allowed') throw unauthorized()
  const headers = {
    'content-type': 'application/json',
    'docker-distribution-api-version': 'registry/2.0',
  }
  return new Response('{}', { headers })
}

function toRequest({ access }: RegistryDeps, context: RegistryContext): IncomingRequest {
  const { incoming, outgoing } = context.env ?? {}
  // Without a socket the app was asked in this process; a socket without an address is one that closed.
  const address = incoming === undefined ? '127.0.0.1' : (incoming.socket.remoteAddress ?? '')
  const header = (name: string) =>
    incoming === undefined ? context.req.header(name) : headerOf(incoming, name)
  const authorization = header('authorization')
  const caller = access.identify({ authorization, address })
  return {
    method: context.req.method,
    // Most requests have no query, and parsing a URL costs as much as all the rest of a small one.
    query: new URLSearchParams(rawQuery(context)),
    header,
    headers: incoming?.headers ?? Object.fromEntries(context.req.raw.headers),
    address,
    caller,
    body: () => bodyOf(context),
    outgoing,
  }
}

/** Node's own stream: web streams cost several times the processor time. */
function bodyOf({ env, req }: RegistryContext): AsyncIterable<Uint8Array> {
  // Who stops reading early still answers: destroying the request would cut the connection that the answer takes.
  if (env?.incoming !== undefined) return env.incoming.iterator({ destroyOnReturn: false })
  return req.raw.body ?? Readable.from([])
}

function rawQuery({ env, req }: RegistryContext): string {
  const target = env?.incoming?.url ?? req.url
  const at = target.indexOf('?')
  return at === -1 ? '' : target.slice(at + 1)
}

/** As sent: a parsed URL has resolved `..` away already. */
function rawPath({ env, req }: RegistryContext): string {
  const target = env?.incoming?.url?.split('?')[0]
  // Proxies may send the whole URL (RFC 9112 section 3.2.2).
  return target?.replace(/^https?:\/\/[^/]*/i, '') ?? req.path
}

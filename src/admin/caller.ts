/** Who asks the administration API, and what may be answered. */
import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { Access, Caller } from '../access/access.ts'

export interface AdminBindings {
  readonly incoming?: IncomingMessage
}
export type AdminContext = Context<{ Bindings: AdminBindings }>

export interface Refusal {
  readonly status: 401 | 403
  readonly code: string
  readonly message: string
}

const UNAUTHORIZED: Refusal = {
  status: 401,
  code: 'UNAUTHORIZED',
  message: 'this node shows nothing to clients without an account',
}

/** Why the caller may not read here; undefined where it may. */
export function refuseReading(access: Access, context: AdminContext): Refusal | undefined {
  const caller = callerOf(access, context)
  if (caller === undefined) return UNAUTHORIZED
  if (caller.kind === 'node') {
    // Its links may let less through than these routes show.
    return denied(`node ${caller.name} reads content and feeds, not the administration API`)
  }
  // A person on the machine itself may always look: without accounts there is no other way in.
  if (caller.isLoopback || access.mayList(caller).kind === 'allowed') return undefined
  return UNAUTHORIZED
}

/** Why the caller may not change something here; undefined where it may. */
export function refuseActing(access: Access, context: AdminContext): Refusal | undefined {
  const caller = callerOf(access, context)
  if (caller === undefined) return UNAUTHORIZED
  const verdict = access.mayAdminister(caller)
  if (verdict.kind === 'unauthorized') return UNAUTHORIZED
  if (verdict.kind === 'denied') return denied(verdict.reason)
  if (isOwnPage(context)) return undefined
  return denied('expected a request to localhost that no page of another site made')
}

function denied(message: string): Refusal {
  return { status: 403, code: 'DENIED', message }
}

function callerOf(access: Access, { env, req }: AdminContext): Caller | undefined {
  const incoming = env?.incoming
  const address = incoming === undefined ? '127.0.0.1' : (incoming.socket.remoteAddress ?? '')
  const caller = access.identify({ authorization: req.header('authorization'), address })
  // A proxy on this machine connects from loopback, for clients from anywhere.
  const isForwarded = (req.header('forwarded') ?? req.header('x-forwarded-for')) !== undefined
  return caller?.kind === 'anonymous' && isForwarded ? { ...caller, isLoopback: false } : caller
}

/** A page of another site, open in the operator's browser, reaches loopback too: its requests carry its origin. */
function isOwnPage({ req }: AdminContext): boolean {
  const [origin, host] = [req.header('origin'), req.header('host')]
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)) return false
  // Another site's name may be made to point here: only names that nobody else owns count.
  return host === undefined || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(host)
}

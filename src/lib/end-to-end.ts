/** Headers of a message that go on with it: those of one connection end there (RFC 9110 section 7.6.1). */
import type { IncomingHttpHeaders } from 'node:http'

/** Never of what a connection carries. `expect` is answered by who takes the request. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Names in lower case, as Node has them. Those that the message's own `Connection` names go too. */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = new Set((headers.connection ?? '').toLowerCase().split(/[\s,]+/))
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.has(name)),
  )
}

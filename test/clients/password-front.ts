/** A server before a node that asks clients for a name and a password, as nginx does; nodes and monitors pass. */
import { createServer, request } from 'node:http'
import { pipeline } from 'node:stream'

export interface PasswordFront extends AsyncDisposable {
  /** Requests with the right password. */
  admitted(): number
}

export async function startPasswordFront(options: {
  /** On 127.0.0.1. */
  readonly port: number
  /** Port of the node. */
  readonly behind: number
  readonly user: string
  readonly password: string
}): Promise<PasswordFront> {
  const { port, behind, user, password } = options
  const right = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  let admitted = 0
  const server = createServer((incoming, outgoing) => {
    const { authorization, ...headers } = incoming.headers
    const isNode = authorization?.startsWith('Bearer ') === true
    if (authorization === right) admitted += 1
    else if (!isNode && incoming.url !== '/readyz') {
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="front"' }).end()
      return
    }
    const passed = request(
      {
        host: '127.0.0.1',
        port: behind,
        method: incoming.method,
        path: incoming.url,
        headers: isNode ? incoming.headers : headers,
      },
      (answer) => {
        // The client left meanwhile.
        if (outgoing.destroyed) {
          answer.destroy()
          return
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        pipeline(answer, outgoing, () => {})
      },
    )
    passed.on('error', () => outgoing.destroy())
    pipeline(incoming, passed, () => {})
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    admitted: () => admitted,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

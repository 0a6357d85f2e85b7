/** A TCP proxy in front of a node that counts what the node sends, and sees who asks. */
import { connect, createServer, type Socket } from 'node:net'

export interface CountingProxy extends AsyncDisposable {
  readonly port: number
  /** Bytes that the node sent to whoever came through here. */
  sent(): number
  /** Tokens with which it was asked, the newest last. */
  tokens(): readonly string[]
}

/** `to`: the port of the node on loopback; it need not listen yet. */
export async function startCountingProxy(port: number, to: number): Promise<CountingProxy> {
  let sent = 0
  const tokens = new Set<string>()
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const node = connect(to, '127.0.0.1')
    for (const socket of [client, node]) {
      sockets.add(socket)
      const other = socket === client ? node : client
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    node.on('data', (chunk) => {
      sent += chunk.length
    })
    client.on('data', (chunk) => {
      for (const [, token = ''] of chunk.toString().matchAll(/^authorization: Bearer (\S+)/gim)) {
        tokens.add(token)
      }
    })
    client.pipe(node)
    node.pipe(client)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port,
    sent: () => sent,
    tokens: () => [...tokens],
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

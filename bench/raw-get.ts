/** Large downloads over plain sockets that read into one buffer again and again: the client costs as little as it can. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Load, sideBySide } from './load.ts'

/** Bytes of one read, at most. */
const READ_BYTES = 1024 * 1024
/** Headers are looked for in so many bytes of a read. */
const MAX_HEAD_BYTES = 8 * 1024

export interface Ask {
  readonly path: string
  /** Bytes that the body must have. */
  readonly size: number
}

export interface GetAsk {
  readonly url: string
  /** Asked for in turn by all connections together. */
  readonly asks: readonly Ask[]
  readonly connections: number
  /** In all. */
  readonly requests: number
  /** What the client says that it understands. */
  readonly accept?: string
}

/** @throws when an answer is not 200 or its body is not as long as it must be */
export async function rawGet({
  url,
  asks,
  connections,
  requests,
  accept = '*/*',
}: GetAsk): Promise<Load> {
  let next = 0
  let bytes = 0
  const clients = await Promise.all(
    Array.from({ length: connections }, () => openClient(url, accept)),
  )
  const seconds = await sideBySide(connections, async (worker) => {
    while (next < requests) {
      const ask = asks[next % asks.length]
      next += 1
      if (ask === undefined) return
      await clients[worker]?.get(ask)
      bytes += ask.size
    }
  })
  for (const client of clients) client.close()
  return { requests, bytes, seconds }
}

interface Client {
  get(ask: Ask): Promise<void>
  close(): void
}

async function openClient(url: string, accept: string): Promise<Client> {
  const { hostname, port, host } = new URL(url)
  let head = ''
  /** Bytes of the body still to come; undefined while the headers come. */
  let left: number | undefined
  let asked: Ask | undefined
  let answered = Promise.withResolvers<void>()

  function onBytes(length: number, buffer: Uint8Array): boolean {
    let bodyBytes = length
    if (left === undefined) {
      const before = head.length
      const view = Buffer.from(buffer.buffer, buffer.byteOffset, length)
      head += view.toString('latin1', 0, MAX_HEAD_BYTES)
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return true
      const size = Number(/\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end))?.[1])
      if (!head.startsWith('HTTP/1.1 200') || size !== asked?.size) {
        fail(`expected 200 and ${asked?.size} bytes of ${asked?.path}, got ${head.slice(0, end)}`)
        return false
      }
      bodyBytes = before + length - end - 4
      left = size
    }
    left -= bodyBytes
    if (left < 0) fail(`${asked?.path} has more bytes than ${asked?.size}`)
    if (left === 0) answered.resolve()
    return true
  }

  const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: onBytes }
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true, onread })
  function fail(message: string): void {
    answered.reject(new Error(message))
    socket.destroy()
  }
  socket.on('error', (err) => answered.reject(err))
  socket.on('close', () => answered.reject(new Error(`${url} closed the connection`)))
  answered.promise.catch(() => {})
  await once(socket, 'connect')
  return {
    get: (ask) => {
      head = ''
      left = undefined
      asked = ask
      answered = Promise.withResolvers()
      answered.promise.catch(() => {})
      socket.write(`GET ${ask.path} HTTP/1.1\r\nhost: ${host}\r\naccept: ${accept}\r\n\r\n`)
      return answered.promise
    },
    close: () => void socket.destroy(),
  }
}

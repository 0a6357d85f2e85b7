/** TCP ports of loopback that stay reserved while nothing listens on them, also for tests in other processes. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

export interface ReservedPort extends Disposable {
  readonly port: number
}

/** Below the range from which systems take ports for outgoing connections and for port 0 (32768 and up). */
const FIRST = 20_000
const COUNT = 10_000

/** Each process begins elsewhere, so that two seldom want the same port. */
let next = (process.pid * 97) % COUNT

/**
 * Reserves by holding the UDP port of the same number: exclusive between processes, and gone with this one whatever ends
 * it. A node that is stopped for a while so finds its port free again.
 */
export async function reservePort(): Promise<ReservedPort> {
  for (let tries = 0; tries < COUNT; tries += 1) {
    const port = FIRST + next
    next = (next + 1) % COUNT
    const reservation = await holdUdp(port)
    if (reservation === undefined) continue
    if (await isFreeForTcp(port)) return reservation
    reservation[Symbol.dispose]()
  }
  throw new Error(`no free port from ${FIRST} to ${FIRST + COUNT - 1} on 127.0.0.1`)
}

function holdUdp(port: number): Promise<ReservedPort | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.unref()
    socket.once('error', () => resolve(undefined))
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () =>
      resolve({ port, [Symbol.dispose]: () => socket.close() }),
    )
  })
}

function isFreeForTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    // All addresses: a container may publish the port on any of them.
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
}

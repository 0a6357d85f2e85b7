/** Real libp2p networks on loopback. Who starts later dials who started before: ports are only known once they listen. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { expect } from 'vitest'
import { createLibp2pNetwork } from '../../src/gossip/libp2p-network.ts'
import { createMeshNode, type MeshNode } from '../../src/gossip/libp2p-node.ts'
import type { Network } from '../../src/gossip/network.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Identity, identityFromSeed } from '../../src/record/identity.ts'
import type { NetworkRig } from '../contract/network-steps.ts'

export interface Libp2pRig extends NetworkRig {
  /** As `node`, with an address to listen on, and addresses of neighbours that the rig does not know. */
  nodeAt(
    name: string,
    neighbours: readonly string[],
    options: {
      readonly listen?: string
      readonly addresses?: Readonly<Record<string, string>>
      /** Who hears announcements. Default: all neighbours. */
      readonly members?: readonly string[]
    },
  ): Promise<Network>
  /** Started, and answers each frame of ECHO with itself. */
  echoAt(name: string, neighbours: readonly string[]): Promise<Network>
  /** A peer with the right key that keeps no rules: libp2p itself, started, without the network around it. */
  rawNode(name: string): Promise<MeshNode>
  socketTo(network: Network): Promise<Socket>
  /** Where a raw node dials the network of that name. */
  dialAddress(network: Network, name: string): Multiaddr
  /** Undone with the rig. */
  defer(undo: () => unknown): void
}

export const ECHO = '/test/echo/1'
export const LOOPBACK = '/ip4/127.0.0.1/tcp/0'
const OPEN_GATE = {
  isAllowed: () => true,
  isMember: () => true,
  isCutOff: () => false,
  onStranger: () => {},
}

/** Milliseconds. */
const DEADLINE_MS = 30_000
const POLL_MS = 10

/** Names in alphabetical order have falling peer ids: a node that starts later is the one that dials, and at once. */
const SORTED = ['a', 'b', 'c', 'd']
  .map((name) => identityFromSeed(Buffer.alloc(32, name)))
  .sort((one, two) => (one.peerId < two.peerId ? 1 : -1))

export function identityOf(name: string): Identity {
  return SORTED['abcd'.indexOf(name)] ?? identityFromSeed(Buffer.alloc(32, name))
}

export function createLibp2pRig(): Libp2pRig {
  const started = new Map<string, Network>()
  const parts = new AsyncDisposableStack()
  const nodeAt: Libp2pRig['nodeAt'] = async (
    name,
    neighbours,
    { listen, addresses = {}, members = neighbours },
  ) => {
    const allowed = new Set<string>(neighbours.map((one) => identityOf(one).peerId))
    const network = await createLibp2pNetwork(
      {
        identity: identityOf(name),
        isAllowed: (peer) => allowed.has(peer),
        isMember: (peer) => members.some((one) => identityOf(one).peerId === peer),
        neighbours: neighbours.map((one) => ({
          peerId: identityOf(one).peerId,
          address: addresses[one] ?? started.get(one)?.addresses()[0],
        })),
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      },
      { listen: [listen ?? LOOPBACK] },
    )
    started.set(name, network)
    return parts.use(network)
  }

  return {
    peerOf: (name) => identityOf(name).peerId,
    nodeAt,
    node: (name, neighbours) => nodeAt(name, neighbours, {}),
    echoAt: async (name, neighbours) => {
      const network = await nodeAt(name, neighbours, {})
      network.handle(ECHO, async (frame) => frame)
      await network.start()
      return network
    },
    rawNode: async (name) => {
      const raw = await createMeshNode(identityOf(name), OPEN_GATE, [LOOPBACK])
      parts.defer(() => raw.stop())
      await raw.start()
      return raw
    },
    socketTo: async (network) => {
      const { host, port } = hostOf(network)
      const socket = connect(port, host)
      socket.on('error', () => {})
      parts.defer(() => void socket.destroy())
      await once(socket, 'connect')
      return socket
    },
    dialAddress: (network, name) =>
      multiaddr(`${network.addresses()[0]}/p2p/${identityOf(name).peerId}`),
    defer: (undo) => parts.defer(async () => void (await undo())),
    until,
    now: () => Date.now(),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** Polls until the condition holds. @throws when it does not in time. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition never held')
    await delay(POLL_MS)
  }
}

/** Until it works: the other end may hear of a connection a moment later. */
export async function eventually(attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    try {
      return await attempt()
    } catch (err) {
      if (Date.now() > deadline) throw err
      await delay(POLL_MS)
    }
  }
}

/** Publishes until the condition holds: nobody knows at once who joined what. */
export async function publishUntil(
  publish: (round: number) => Promise<unknown>,
  condition: () => boolean,
): Promise<void> {
  let polls = 0
  await until(() => {
    if (polls % 10 === 0) void publish(polls)
    polls += 1
    return condition()
  })
}

export function hostOf(network: Network): { host: string; port: number } {
  const [, , host = '', , port] = (network.addresses()[0] ?? '').split('/')
  return { host, port: Number(port) }
}

/** The peer answers over a new channel. */
export async function expectEcho(network: Network, peer: string): Promise<void> {
  const channel = await network.open(identityOf(peer).peerId, ECHO)
  const frame = Buffer.from('still there')
  expect(Buffer.from(await channel.request(frame)).equals(frame)).toBe(true)
  await channel.close()
}

/** Real libp2p networks on loopback. Who starts later dials who started before: ports are only known once they listen. */
import { setTimeout as delay } from 'node:timers/promises'
import { createLibp2pNetwork } from '../../src/gossip/libp2p-network.ts'
import type { Network } from '../../src/gossip/network.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Identity, identityFromSeed } from '../../src/record/identity.ts'
import type { NetworkRig } from '../contract/network.contract.ts'

export interface Libp2pRig extends NetworkRig {
  /** As `node`, with an address to listen on, and addresses of neighbours that the rig does not know. */
  nodeAt(
    name: string,
    neighbours: readonly string[],
    options: { readonly listen?: string; readonly addresses?: Readonly<Record<string, string>> },
  ): Promise<Network>
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
  const all: Network[] = []
  const nodeAt: Libp2pRig['nodeAt'] = async (name, neighbours, { listen, addresses = {} }) => {
    const allowed = new Set<string>(neighbours.map((one) => identityOf(one).peerId))
    const network = await createLibp2pNetwork(
      {
        identity: identityOf(name),
        isAllowed: (peer) => allowed.has(peer),
        neighbours: neighbours.map((one) => ({
          peerId: identityOf(one).peerId,
          address: addresses[one] ?? started.get(one)?.addresses()[0],
        })),
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      },
      { listen: [listen ?? '/ip4/127.0.0.1/tcp/0'] },
    )
    started.set(name, network)
    all.push(network)
    return network
  }

  return {
    peerOf: (name) => identityOf(name).peerId,
    nodeAt,
    node: (name, neighbours) => nodeAt(name, neighbours, {}),
    until,
    now: () => Date.now(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((network) => network[Symbol.asyncDispose]()))
    },
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

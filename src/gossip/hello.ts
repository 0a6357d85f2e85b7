/** The hello that opens every connection between neighbours: who runs which topology, where bytes are, with what token. */
import type { EventBus } from '../events/event-bus.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { decodeHello, encodeHello, HELLO_PROTOCOL, type Hello } from './hello-codec.ts'
import type { Channel, Network } from './network.ts'

export interface HelloDeps {
  readonly network: Network
  readonly topology: Topology
  readonly neighbours: Neighbours
  readonly self: { readonly peerId: PeerId; readonly epoch: string; readonly endpoint?: string }
  /** A token for the neighbour, with which it reads bytes here. */
  readonly issueToken: (node: NodeName) => string
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const RETRY = { firstMs: 250, capMs: 10_000 }
/** An answer to a hello takes one turn of the other's event loop; longer means that it is stuck, milliseconds. */
const ANSWER_MS = 10_000
/** A neighbour of another realm or version is left alone for so long, milliseconds. */
const CUT_OFF_MS = 60_000

/** Greets every neighbour that comes up. Of the two ends the one with the smaller peer id asks. */
export function createHello(deps: HelloDeps): void {
  const { network, topology, neighbours, self, issueToken, events, clock, random, logger } = deps
  const greeting = new Map<PeerId, AbortController>()

  const own = (node: NodeName): Hello => ({
    version: 1,
    realm: topology.realm,
    generation: topology.generation,
    hash: topology.hash,
    now: clock.now(),
    epoch: self.epoch,
    ...(self.endpoint === undefined ? {} : { endpoint: self.endpoint }),
    token: issueToken(node),
  })

  function accept(node: NodeName, peer: PeerId, hello: Hello): void {
    if (hello.realm !== topology.realm) {
      const reason = `it belongs to realm ${hello.realm}, this node to ${topology.realm}; give both the same topology file`
      neighbours.failed(node, reason)
      logger.error({ neighbour: node, realm: hello.realm }, 'neighbour of another realm cut off')
      void network.cutOff(peer, CUT_OFF_MS)
      throw new Error(reason)
    }
    const { generation, hash: topologyHash, epoch, endpoint, token } = hello
    const facts = { generation, topologyHash, epoch, token, clockOffsetMs: hello.now - clock.now() }
    const wasUp = neighbours.isUp(node)
    if (!neighbours.greeted(node, endpoint === undefined ? facts : { ...facts, endpoint })) return
    if (topologyHash !== topology.hash) {
      logger.warn({ neighbour: node, generation }, 'neighbour runs another topology')
    }
    if (!wasUp) events.emit({ kind: 'neighbour-up', node })
  }

  async function greet(node: NodeName, peer: PeerId, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      let channel: Channel | undefined
      const within = AbortSignal.any([signal, timeout(clock, ANSWER_MS, signal)])
      try {
        channel = await network.open(peer, HELLO_PROTOCOL, { signal: within })
        const answer = await channel.request(encodeHello(own(node)), { signal: within })
        accept(node, peer, decodeHello(answer))
        return
      } catch (err) {
        if (signal.aborted) return
        failures += 1
        neighbours.failed(node, messageOf(err))
        await clock.sleep(backoffMs(failures, RETRY, random), { signal }).catch(() => {})
      } finally {
        await channel?.close().catch(() => {})
      }
    }
  }

  network.handle(HELLO_PROTOCOL, async (frame, { peer }) => {
    const node = nodeOfPeer(topology, peer)
    if (node === undefined) throw new Error('hello of a peer that is not in the topology')
    accept(node, peer, decodeHello(frame))
    return encodeHello(own(node))
  })

  network.onUp((peer) => {
    const node = nodeOfPeer(topology, peer)
    if (node === undefined || self.peerId > peer) return
    const stop = new AbortController()
    greeting.get(peer)?.abort()
    greeting.set(peer, stop)
    void greet(node, peer, stop.signal)
  })

  network.onDown((peer) => {
    greeting.get(peer)?.abort()
    greeting.delete(peer)
    const node = nodeOfPeer(topology, peer)
    if (node === undefined || !neighbours.isUp(node)) return
    neighbours.lost(node)
    events.emit({ kind: 'neighbour-down', node })
  })
}

/** Aborts after a time of the given clock; ends with `signal`. */
function timeout(clock: Clock, ms: number, signal: AbortSignal): AbortSignal {
  const over = new AbortController()
  const reason = new DOMException(`no answer within ${ms} ms`, 'TimeoutError')
  clock.sleep(ms, { signal }).then(
    () => over.abort(reason),
    () => {},
  )
  return over.signal
}

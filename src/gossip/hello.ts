/** The hello that opens every connection between neighbours: who runs which topology, where bytes are, with what token. */
import type { EventBus } from '../events/event-bus.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import { offsetOf } from '../peers/mesh-time.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import {
  decodeHello,
  encodeHello,
  HELLO_PROTOCOL,
  HELLO_VERSION,
  type Hello,
  type HelloDecode,
} from './hello-codec.ts'
import type { Channel, Network } from './network.ts'
import { createDifferenceAlarm } from './topology-difference.ts'

export interface HelloDeps {
  readonly network: Network
  readonly topology: Topology
  readonly neighbours: Neighbours
  readonly self: {
    readonly peerId: PeerId
    readonly epoch: string
    readonly endpoint?: string
    /** Of the keys that the registry serves now; undefined without TLS. */
    readonly fingerprints?: () => readonly string[] | undefined
  }
  /** A token for the neighbour, with which it reads bytes here. */
  readonly issueToken: (node: NodeName) => string
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface Greeter {
  /**
   * Says hello once more to a neighbour that is up, and takes what it answers: both learn what has changed since.
   * Whoever asks meanwhile gets the same answer. @throws when none comes in time
   */
  again(node: NodeName): Promise<void>
}

const RETRY = { firstMs: 250, capMs: 10_000 }
/** The greater peer id waits so long to be asked before it asks itself, milliseconds: two round trips between continents. */
const TURN_MS = 1_000
/** An answer to a hello takes one turn of the other's event loop; longer means that it is stuck, milliseconds. */
const ANSWER_MS = 10_000
/** A neighbour of another realm or version is left alone for so long, milliseconds. */
const CUT_OFF_MS = 60_000
/** So long the answer that tells it why may take, milliseconds. */
const PARTING_MS = 1_000
/** Complaints remembered so as not to be logged again. */
const MAX_COMPLAINTS = 100

/**
 * Greets every neighbour that comes up. The smaller peer id asks; the greater one asks too if nobody did, since the other
 * end may not have noticed that this connection replaces a dead one. A hello twice does no harm.
 */
export function createHello(deps: HelloDeps): Greeter {
  const { network, topology, neighbours, self, issueToken, events, clock, random, logger } = deps
  const greeting = new Map<PeerId, AbortController>()
  const complaints = createSeenSet({ limit: MAX_COMPLAINTS })
  const tellDifference = createDifferenceAlarm(deps)
  /** One a connection: hellos that get lost must not use up the few that are valid at once. */
  const tokens = new Map<NodeName, string>()
  const underWay = new Map<NodeName, Promise<void>>()

  function tokenFor(node: NodeName): string {
    const token = tokens.get(node) ?? issueToken(node)
    tokens.set(node, token)
    return token
  }

  const own = (node: NodeName): Hello => ({
    version: HELLO_VERSION,
    realm: topology.realm,
    generation: topology.generation,
    hash: topology.hash,
    now: clock.now(),
    epoch: self.epoch,
    ...(self.endpoint === undefined ? {} : { endpoint: self.endpoint }),
    ...fingerprintsOf(self.fingerprints?.()),
    token: tokenFor(node),
  })

  /** What the neighbour said; or why the two cannot work together, and what to do. */
  function judge(said: HelloDecode): Hello | string {
    if (said.kind === 'other-version') {
      return `it speaks version ${said.version} of the hello, this node version ${HELLO_VERSION}; run releases that fit`
    }
    if (said.hello.realm === topology.realm) return said.hello
    const [theirs, ours] = [said.hello.realm, topology.realm].map((text) => JSON.stringify(text))
    return `it belongs to realm ${theirs}, this node to ${ours}; give both the same topology file`
  }

  function complain(node: NodeName, reason: string): void {
    neighbours.failed(node, reason)
    if (complaints.add(`${node} ${reason}`)) {
      logger.error({ neighbour: node, reason }, 'neighbour cut off: the two do not fit')
    }
  }

  function accept(node: NodeName, hello: Hello): void {
    const { generation, hash: topologyHash, epoch, endpoint, fingerprints, token } = hello
    const facts = {
      generation,
      topologyHash,
      epoch,
      token,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...fingerprintsOf(fingerprints),
    }
    const wasUp = neighbours.isUp(node)
    if (!neighbours.greeted(node, facts)) return
    tellDifference(node, hello)
    if (wasUp) return
    events.emit({ kind: 'neighbour-up', node })
  }

  async function greet(node: NodeName, peer: PeerId, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const said = await exchange(node, peer, signal)
        if (typeof said !== 'string') return accept(node, said)
        complain(node, said)
        return await network.cutOff(peer, CUT_OFF_MS)
      } catch (err) {
        if (signal.aborted) return
        failures += 1
        neighbours.failed(node, `hello not answered: ${messageOf(err)}`)
        await clock.sleep(backoffMs(failures, RETRY, random), { signal }).catch(() => {})
      }
    }
  }

  /** @returns what the neighbour said, its clock noted; or why the two do not fit */
  async function exchange(
    node: NodeName,
    peer: PeerId,
    signal: AbortSignal,
  ): Promise<Hello | string> {
    const sentMs = clock.now()
    const said = judge(decodeHello(await ask(peer, encodeHello(own(node)), signal)))
    const receivedMs = clock.now()
    if (typeof said === 'string') return said
    const offsetMs = offsetOf({ sentMs, receivedMs, theirMs: said.now, heldMs: 0 })
    if (offsetMs !== undefined) neighbours.measured(node, offsetMs)
    return said
  }

  async function ask(peer: PeerId, frame: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const over = new AbortController()
    const giveUp = () => over.abort(signal.reason)
    signal.addEventListener('abort', giveUp)
    const late = new DOMException(`no answer within ${ANSWER_MS} ms`, 'TimeoutError')
    clock.sleep(ANSWER_MS, { signal: over.signal }).then(
      () => over.abort(late),
      () => {},
    )
    let channel: Channel | undefined
    try {
      channel = await network.open(peer, HELLO_PROTOCOL, { signal: over.signal })
      return await channel.request(frame, { signal: over.signal })
    } finally {
      signal.removeEventListener('abort', giveUp)
      await channel?.close().catch(() => {})
      over.abort()
    }
  }

  /** The other one gets its answer first: it has to tell its operator the same. */
  async function part(peer: PeerId, signal: AbortSignal): Promise<void> {
    await clock.sleep(PARTING_MS, { signal }).catch(() => {})
    await network.cutOff(peer, CUT_OFF_MS)
  }

  function stopGreeting(peer: PeerId): void {
    greeting.get(peer)?.abort()
    greeting.delete(peer)
  }

  async function askAgain(node: NodeName): Promise<void> {
    const peer = topology.nodes.get(node)?.peerId as PeerId | undefined
    if (peer === undefined || !neighbours.isUp(node)) throw new Error(`${node} is not connected`)
    const { signal } = new AbortController()
    const said = await exchange(node, peer, signal)
    if (typeof said === 'string') throw new Error(said)
    if (neighbours.isUp(node)) accept(node, said)
  }

  network.handle(HELLO_PROTOCOL, async (frame, { peer, signal }) => {
    const node = nodeOfPeer(topology, peer)
    if (node === undefined) throw new Error('hello of a peer that is not in the topology')
    const said = judge(decodeHello(frame))
    if (typeof said === 'string') {
      complain(node, said)
      part(peer, signal).catch(() => {})
    } else {
      if (self.peerId > peer) stopGreeting(peer)
      accept(node, said)
    }
    return encodeHello(own(node))
  })

  network.onUp((peer) => {
    const node = nodeOfPeer(topology, peer)
    if (node === undefined) return
    stopGreeting(peer)
    const stop = new AbortController()
    const { signal } = stop
    greeting.set(peer, stop)
    const turn = self.peerId < peer ? Promise.resolve() : clock.sleep(TURN_MS, { signal })
    turn.then(
      () => greet(node, peer, signal),
      () => {},
    )
  })

  network.onDown((peer) => {
    stopGreeting(peer)
    const node = nodeOfPeer(topology, peer)
    if (node === undefined) return
    tokens.delete(node)
    if (!neighbours.isUp(node)) return
    neighbours.lost(node)
    events.emit({ kind: 'neighbour-down', node })
  })

  return {
    again: (node) => {
      const asked = underWay.get(node) ?? askAgain(node).finally(() => underWay.delete(node))
      underWay.set(node, asked)
      return asked
    },
  }
}

function fingerprintsOf(fingerprints: readonly string[] | undefined) {
  return fingerprints === undefined ? {} : { fingerprints: [...fingerprints] }
}

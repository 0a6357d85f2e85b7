/**
 * Keeps this node connected to its neighbours: dials, dials again for ever, and closes the second connection where both
 * ends dialled at once. libp2p's own reconnection gives up, and never dials a peer that was not connected before.
 */
import type { Libp2p, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'

export interface Neighbour {
  readonly peerId: PeerId
  /** Multiaddr without /p2p; undefined = it dials us. */
  readonly address: string | undefined
}

export interface ConnectionKeeper extends AsyncDisposable {
  start(): void
  /** Closes the connections of a peer and does not dial it for a while. */
  cutOff(peer: PeerId, ms: number): Promise<void>
  isCutOff(peer: PeerId): boolean
}

export interface ConnectionKeeperDeps {
  readonly node: Libp2p
  readonly self: PeerId
  readonly neighbours: readonly Neighbour[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Look at each neighbour so often, milliseconds: a lost one is dialled again within that. */
const CHECK_MS = 500
/** The greater peer id waits so long for the smaller one's dial, milliseconds: else both dial and one is for nothing. */
const GRACE_MS = 2_000
const DIAL_MS = 5_000
const RETRY = { firstMs: 500, capMs: 15_000 }

export function createConnectionKeeper(deps: ConnectionKeeperDeps): ConnectionKeeper {
  const { node, self, neighbours, clock, random, logger } = deps
  const stop = new AbortController()
  const cutOffUntilMs = new Map<PeerId, number>()
  let running: Promise<unknown> = Promise.resolve()

  async function keep({ peerId, address }: Neighbour): Promise<void> {
    const peer = peerIdFromString(peerId)
    const to = address === undefined ? undefined : multiaddr(address).encapsulate(`/p2p/${peerId}`)
    const isDialler = self < peerId
    let failures = 0
    let aloneSinceMs = clock.now()
    while (!stop.signal.aborted) {
      if (isOpen(peer)) {
        failures = 0
        aloneSinceMs = clock.now()
        await closeSecond(peer, isDialler)
      } else if (to !== undefined && mayDial(peerId, isDialler, aloneSinceMs)) {
        failures = (await dial(to, peerId)) ? 0 : failures + 1
      }
      const ms = failures === 0 ? CHECK_MS : backoffMs(failures, RETRY, random)
      await clock.sleep(ms, { signal: stop.signal }).catch(() => {})
    }
  }

  function isOpen(peer: Libp2pPeerId): boolean {
    return node.getConnections(peer).some(({ status }) => status === 'open')
  }

  function mayDial(peerId: PeerId, isDialler: boolean, aloneSinceMs: number): boolean {
    if (isCutOff(peerId)) return false
    return isDialler || Math.abs(clock.now() - aloneSinceMs) > GRACE_MS
  }

  function isCutOff(peerId: PeerId): boolean {
    return clock.now() < (cutOffUntilMs.get(peerId) ?? 0)
  }

  async function dial(to: Multiaddr, peerId: PeerId): Promise<boolean> {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DIAL_MS)])
    try {
      await node.dial(to, { signal })
      return true
    } catch (err) {
      if (!stop.signal.aborted)
        logger.debug({ peerId, reason: messageOf(err) }, 'neighbour not reached')
      return false
    }
  }

  /** Both ends keep the connection that the smaller peer id dialled. */
  async function closeSecond(peer: Libp2pPeerId, isDialler: boolean): Promise<void> {
    const connections = node.getConnections(peer).filter(({ status }) => status === 'open')
    if (connections.length < 2) return
    const direction = isDialler ? 'outbound' : 'inbound'
    const kept = connections.find((one) => one.direction === direction) ?? connections[0]
    for (const one of connections) {
      if (one !== kept) await one.close().catch((err: Error) => one.abort(err))
    }
  }

  return {
    start: () => {
      running = Promise.all(neighbours.map(keep))
    },
    isCutOff,
    cutOff: async (peerId, ms) => {
      cutOffUntilMs.set(peerId, clock.now() + ms)
      await node.hangUp(peerIdFromString(peerId))
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}

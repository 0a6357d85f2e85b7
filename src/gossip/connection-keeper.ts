/**
 * Keeps this node connected to its neighbours: dials, dials again for ever, and closes the second connection where both
 * ends dialled at once. libp2p's own reconnection gives up, and never dials a peer that was not connected before.
 */
import type { Connection, Libp2p, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'

export interface MeshNeighbour {
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
  readonly neighbours: readonly MeshNeighbour[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** While it may not dial yet, a node looks again so often, milliseconds: as precise as GRACE_MS has to be. */
const CHECK_MS = 500
/** The greater peer id waits so long for the smaller one's dial, milliseconds: else both dial and one is for nothing. */
const GRACE_MS = 2_000
/** A connection that ended sooner, milliseconds, was refused: asking again at once would only burn both ends. */
const STEADY_MS = 5_000
/** Connections opened within this time of each other, milliseconds, were dialled from both ends at once: a dial's length. */
const RACE_MS = 5_000
const RETRY = { firstMs: 500, capMs: 15_000 }

interface Kept {
  readonly peer: Libp2pPeerId
  readonly peerId: PeerId
  readonly to: Multiaddr | undefined
  /** Of the two ends the smaller peer id dials at once; its connection stays if both did. */
  readonly isFirst: boolean
  /** Ends the present pause if the connection is what it waits for. */
  look: () => void
}

/** @throws when a neighbour's address is no multiaddr. */
export function createConnectionKeeper(deps: ConnectionKeeperDeps): ConnectionKeeper {
  const { node, self, clock, random, logger } = deps
  const stop = new AbortController()
  const cuts = new Map<PeerId, { readonly untilMs: number; readonly ms: number }>()
  const all = new Map<string, Kept>(
    deps.neighbours.map(({ peerId, address }) => [
      peerId,
      {
        peerId,
        peer: peerIdFromString(peerId),
        to: address === undefined ? undefined : multiaddr(address).encapsulate(`/p2p/${peerId}`),
        isFirst: self < peerId,
        look: () => {},
      },
    ]),
  )
  let running: Promise<unknown> = Promise.resolve()

  async function keep(kept: Kept): Promise<void> {
    let failures = 0
    let aloneSinceMs = clock.now()
    while (!stop.signal.aborted) {
      if (isOpen(kept)) {
        const openedMs = clock.now()
        while (isOpen(kept) && !stop.signal.aborted) await pause(kept, STEADY_MS, false)
        aloneSinceMs = clock.now()
        failures = aloneSinceMs - openedMs < STEADY_MS ? failures + 1 : 0
        if (failures === 0) continue
      } else if (mayDial(kept, aloneSinceMs)) {
        const isDialled = await dial(kept)
        if (isDialled && isOpen(kept)) continue
        failures += 1
      }
      await pause(kept, failures === 0 ? CHECK_MS : backoffMs(failures, RETRY, random), true)
    }
  }

  /** Waits, but not past the moment when the peer is connected, or is not any more. */
  async function pause(kept: Kept, ms: number, untilOpen: boolean): Promise<void> {
    const over = new AbortController()
    kept.look = () => {
      if (stop.signal.aborted || isOpen(kept) === untilOpen) over.abort()
    }
    kept.look()
    await clock.sleep(ms, { signal: over.signal }).catch(() => {})
  }

  function isOpen({ peer }: Kept): boolean {
    return openConnections(peer).length > 0
  }

  function openConnections(peer: Libp2pPeerId): Connection[] {
    return node.getConnections(peer).filter(({ status }) => status === 'open')
  }

  function mayDial({ peerId, to, isFirst }: Kept, aloneSinceMs: number): boolean {
    if (to === undefined || isCutOff(peerId)) return false
    return isFirst || Math.abs(clock.now() - aloneSinceMs) >= GRACE_MS
  }

  function isCutOff(peerId: PeerId): boolean {
    const { untilMs, ms } = cuts.get(peerId) ?? { untilMs: 0, ms: 0 }
    const leftMs = untilMs - clock.now()
    // More is left than there was: the clock was set back.
    return leftMs > 0 && leftMs <= ms
  }

  /** libp2p ends a dial after its `dialTimeout`. */
  async function dial({ to, peerId }: Kept): Promise<boolean> {
    if (to === undefined) return false
    try {
      await node.dial(to, { signal: stop.signal })
      return true
    } catch (err) {
      logger.debug({ peerId, reason: messageOf(err) }, 'neighbour not reached')
      return false
    }
  }

  /**
   * Leaves one connection open. Of a race both ends keep the one that the smaller peer id dialled; otherwise the newest: a
   * peer that dials anew knows that the old connection is dead, long before this end's pings find out.
   */
  async function closeSecond({ peer, isFirst }: Kept): Promise<void> {
    const open = openConnections(peer).sort((a, b) => a.timeline.open - b.timeline.open)
    const [oldest, newest] = [open[0], open.at(-1)]
    if (oldest === undefined || newest === undefined || oldest === newest) return
    const isRace = newest.timeline.open - oldest.timeline.open < RACE_MS
    const direction = isFirst ? 'outbound' : 'inbound'
    const winner = isRace ? open.findLast((one) => one.direction === direction) : undefined
    for (const one of open) {
      if (one !== (winner ?? newest)) await one.close().catch((err: Error) => one.abort(err))
    }
  }

  node.addEventListener('connection:open', ({ detail }) => {
    const kept = all.get(detail.remotePeer.toString())
    kept?.look()
    if (kept !== undefined) void closeSecond(kept)
  })
  node.addEventListener('connection:close', ({ detail }) => {
    all.get(detail.remotePeer.toString())?.look()
  })

  return {
    start: () => {
      running = Promise.all([...all.values()].map(keep))
    },
    isCutOff,
    cutOff: async (peerId, ms) => {
      cuts.set(peerId, { untilMs: clock.now() + ms, ms })
      await node.hangUp(peerIdFromString(peerId))
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      for (const kept of all.values()) kept.look()
      await running
    },
  }
}

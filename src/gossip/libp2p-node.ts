/** One libp2p node: TCP, Noise, Yamux, identify, gossipsub. Whoever is not let in is cut off right after the handshake. */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { EntrepotError } from '../lib/errors.ts'
import type { Identity } from '../record/identity.ts'
import { gossipLinks, topicWire } from './topic-wire.ts'

/** Connections in their handshake, at most; more are refused: a flood of half-open ones must not eat memory. */
const MAX_PENDING = 64
/** New connections a second from one address, at most: a site's nodes may all come back at once behind one NAT. */
const MAX_PER_SECOND = 50
/** A handshake must be over by then, milliseconds: garbage on the port is cut off. */
const HANDSHAKE_MS = 10_000
/** A dial with its handshake, milliseconds. */
const DIAL_MS = 5_000

export interface Gate {
  /** Whether a peer may be connected at all. */
  isAllowed(peer: string): boolean
  /** Whether announcements are exchanged with an allowed one. */
  isMember(peer: string): boolean
  /** Whether an allowed one is shut out for now. */
  isCutOff(peer: string): boolean
  /** Somebody who is not allowed proved its key. */
  onStranger(peer: string, address: string): void
}

export type MeshNode = Awaited<ReturnType<typeof createMeshNode>>

/** Makes the node; it listens once it is started. */
export async function createMeshNode(identity: Identity, gate: Gate, listen: readonly string[]) {
  const privateKey = await generateKeyPairFromSeed('Ed25519', identity.seed)
  const own = peerIdFromPrivateKey(privateKey).toString()
  if (own !== identity.peerId) {
    throw new EntrepotError('PEER_ID_MISMATCH', `key is of ${own}, expected ${identity.peerId}`)
  }
  const isDenied = (peer: Libp2pPeerId) => {
    const id = peer.toString()
    return !gate.isAllowed(id) || gate.isCutOff(id)
  }
  const socket = { noDelay: true, keepAlive: true }
  return createLibp2p({
    start: false,
    privateKey,
    addresses: { listen: [...listen] },
    transports: [tcp({ dialOpts: socket, listenOpts: socket })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: {
      denyDialPeer: isDenied,
      denyOutboundEncryptedConnection: isDenied,
      denyInboundEncryptedConnection: (peer, connection) => {
        if (!isDenied(peer)) return false
        const id = peer.toString()
        if (!gate.isAllowed(id)) gate.onStranger(id, connection.remoteAddr.toString())
        return true
      },
      filterMultiaddrForPeer: (peer) => !isDenied(peer),
    },
    connectionManager: {
      inboundConnectionThreshold: MAX_PER_SECOND,
      maxIncomingPendingConnections: MAX_PENDING,
      inboundUpgradeTimeout: HANDSHAKE_MS,
      dialTimeout: DIAL_MS,
    },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: topicWire(gate.isMember),
      links: gossipLinks,
    },
  })
}

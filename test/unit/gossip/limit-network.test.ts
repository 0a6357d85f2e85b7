import { expect, test } from 'vitest'
import type {
  ChannelHandler,
  GossipMessage,
  GossipVerdict,
  Network,
} from '../../../src/gossip/network.ts'
import { limitNetwork, type PeerLimits } from '../../../src/gossip/peer-limits.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'

test('everything that a peer can begin passes its limits first', async () => {
  const peer = peerIdOfName('hub')
  const topics = new Map<string, (message: GossipMessage) => GossipVerdict>()
  const handlers = new Map<string, ChannelHandler>()
  const network = {
    join: (topic: string, validate: (message: GossipMessage) => GossipVerdict) =>
      void topics.set(topic, validate),
    handle: (protocol: string, answer: ChannelHandler) => void handlers.set(protocol, answer),
  } as unknown as Network
  const state = { hears: true, turn: async () => {} }
  const limits: PeerLimits = {
    hears: () => state.hears,
    turn: () => state.turn(),
    offend: () => {},
  }
  const limited = limitNetwork(network, limits)
  let judged = 0
  limited.join('news', () => {
    judged += 1
    return 'accept'
  })
  limited.handle('/test/1', async (frame) => frame)
  const message = { topic: 'news', from: peer, data: Uint8Array.of(1) }
  expect(topics.get('news')?.(message)).toBe('accept')
  state.hears = false
  expect(topics.get('news')?.(message)).toBe('ignore')
  expect(judged).toBe(1)

  const { signal } = new AbortController()
  const asked = () => handlers.get('/test/1')?.(Uint8Array.of(7), { peer, signal })
  expect(await asked()).toEqual(Uint8Array.of(7))
  state.turn = () => Promise.reject(new Error('gone'))
  await expect(asked()).rejects.toThrow('gone')
})

import { describe, expect, test } from 'vitest'
import { membersOnly } from '../../../src/gossip/members-network.ts'
import {
  decodeTopologyAnswer,
  encodeTopologyRequest,
  MAX_TOPOLOGY_BYTES,
  type SealedTopology,
  TOPOLOGY_PROTOCOL,
} from '../../../src/gossip/topology-codec.ts'
import { createTopologyExchange } from '../../../src/gossip/topology-exchange.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import { createSeededRandom } from '../../../src/simulator/seeded-random.ts'
import { createSimClock, type SimClock, settle } from '../../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../../src/simulator/sim-network.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'

const [A, B] = [peerIdOfName('a'), peerIdOfName('b')]

function fileOf(generation: number, bytes = 10): SealedTopology {
  const signer = peerIdOfName('owner')
  const text = 'x'.repeat(bytes)
  return { realm: 'demo', generation, text, signer, signature: new Uint8Array(64) }
}

async function pass(clock: SimClock, ms: number): Promise<void> {
  const until = clock.now() + ms
  await settle()
  while (clock.step(until)) await settle()
  await settle()
}

function setUp() {
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom('exchange')
  const rates = { dropRate: 0, duplicateRate: 0, maxDelayMs: 10 }
  const hub = createSimHub({ clock, random }, rates)

  function member(
    name: 'a' | 'b',
    sealed: SealedTopology[],
    { realm = 'demo', look = async () => {} }: { realm?: string; look?: () => Promise<void> } = {},
  ) {
    const network = hub.network(peerIdOfName(name), [name === 'a' ? B : A])
    const got: number[][] = []
    const exchange = createTopologyExchange({
      network,
      realm,
      generation: () => sealed.at(-1)?.generation ?? 1,
      sealed: () => sealed,
      onFiles: (files, from) => {
        got.push(files.map(({ generation }) => generation))
        expect(from).toBe(name === 'a' ? B : A)
        return look()
      },
      clock,
      random,
      logger: silentLogger,
    })
    return { network, exchange, got, sealed }
  }
  return { clock, member }
}

describe('gossip / topology exchange', () => {
  test('a peer that comes up is given all files that it lacks, in order, and gives none that are older', async () => {
    const { clock, member } = setUp()
    const a = member('a', [fileOf(2), fileOf(3), fileOf(5)])
    const b = member('b', [fileOf(2)])
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    expect(b.got).toEqual([[3, 5]])
    expect(a.got).toEqual([])
  })

  test('files that do not fit into one frame come in parts, the oldest first', async () => {
    const { clock, member } = setUp()
    const a = member('a', [fileOf(2, 600_000), fileOf(3, 600_000)])
    const b = member('b', [])
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    expect(b.got).toEqual([[2]])
  })

  test('what is new is offered to those who are up, and a mesh of another realm wants none of it', async () => {
    const { clock, member } = setUp()
    const a = member('a', [])
    const b = member('b', [])
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    a.sealed.push(fileOf(2))
    const offered = a.exchange.offerAll(2_000)
    await pass(clock, 5_000)
    await offered
    expect(b.got).toEqual([[2]])

    const other = setUp()
    const c = other.member('a', [fileOf(2)])
    const d = other.member('b', [], { realm: 'other' })
    await c.network.start()
    await d.network.start()
    await pass(other.clock, 5_000)
    expect(d.got).toEqual([])
  })

  test('files of a peer are looked at one gift at a time', async () => {
    const { clock, member } = setUp()
    const looked = Promise.withResolvers<void>()
    const a = member('a', [fileOf(2)])
    const b = member('b', [], { look: () => looked.promise })
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    const again = a.exchange.offerAll(2_000)
    await pass(clock, 5_000)
    await again
    expect(b.got).toEqual([[2]])
    looked.resolve()
    await pass(clock, 1)
    const last = a.exchange.offerAll(2_000)
    await pass(clock, 5_000)
    await last
    expect(b.got).toEqual([[2], [2]])
  })
})

describe('gossip / topology exchange under attack', () => {
  test('garbage ends its channel and nothing else, and a peer that asks without end waits for its turn', async () => {
    const { clock, member } = setUp()
    const a = member('a', [fileOf(2)])
    const b = member('b', [])
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    expect(b.got).toEqual([[2]])

    const ask = async (frame: Uint8Array) => {
      const channel = await a.network.open(B, TOPOLOGY_PROTOCOL)
      try {
        return decodeTopologyAnswer(await channel.request(frame)).kind
      } catch {
        return 'refused'
      }
    }
    const answered: string[] = []
    const offer = encodeTopologyRequest({ version: 1, kind: 'offer', realm: 'demo', generation: 2 })
    const large = 'x'.repeat(MAX_TOPOLOGY_BYTES + 1)
    for (const frame of [
      Buffer.from('garbage'),
      encodeCbor({ version: 1, kind: 'give', files: [] }),
      encodeCbor({ version: 1, kind: 'give', files: [{ ...fileOf(3), text: large }] }),
      encodeCbor({ version: 1, kind: 'give', files: [{ ...fileOf(3), signature: Buffer.of(1) }] }),
      ...Array.from({ length: 30 }, () => offer),
    ]) {
      void ask(frame).then((kind) => answered.push(kind))
    }
    await pass(clock, 1_000)
    const { length: atOnce } = answered
    expect(atOnce).toBeLessThan(25)
    await pass(clock, 20_000)
    expect(answered).toHaveLength(34)
    expect(answered.filter((kind) => kind === 'refused')).toHaveLength(4)
    expect(b.got).toEqual([[2]])
  })
})

describe('gossip / members network', () => {
  test('a peer that is no member does not show up, is not answered and is not heard', async () => {
    const { clock, member } = setUp()
    const [a, b] = [member('a', []), member('b', [])]
    let isMember = false
    const members = membersOnly(a.network, () => isMember)
    const up: string[] = []
    const heard: string[] = []
    members.onUp((peer) => void up.push(peer))
    members.handle('/echo/1', async (frame) => frame)
    members.join('news', ({ data }) => {
      heard.push(Buffer.from(data).toString())
      return 'accept'
    })
    b.network.join('news', () => 'accept')
    await a.network.start()
    await b.network.start()
    await pass(clock, 5_000)
    const ask = async () => {
      const asked = b.network
        .open(A, '/echo/1')
        .then((channel) => channel.request(Buffer.from('hello')))
        .then(String, () => 'refused')
      await pass(clock, 5_000)
      return asked
    }
    await b.network.publish('news', Buffer.from('one'))
    expect(await ask()).toBe('refused')
    expect({ up, heard, connected: members.connected() }).toEqual({
      up: [],
      heard: [],
      connected: [],
    })
    isMember = true
    await b.network.publish('news', Buffer.from('two'))
    expect(await ask()).toBe('hello')
    expect(heard).toEqual(['two'])
    expect(members.connected()).toEqual([B])
  })
})

import { describe, expect, test } from 'vitest'
import {
  decodeFeedAnswer,
  decodeFeedRequest,
  encodeFeedAnswer,
  FEED_PROTOCOL,
} from '../../../src/gossip/feed-codec.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { CURSOR } from '../../../src/storage/index-tables.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'
import { copyOf } from '../../helpers/storage-rig.ts'
import { digestNamed, REALM, ref, repo } from '../../helpers/writers.ts'
import { type GossipNode, openGossipNode, type Wire } from './gossip-node.ts'

const hubPeer = peerIdOfName('hub')

function put(hub: GossipNode, reference: string): SignedRecord {
  const key = { repository: repo('demo/app'), reference: ref(reference) }
  return hub.author.put([], { ...key, digest: digestNamed(reference) })
}

async function setUp() {
  const topology = starTopology(['edge'], { realm: REALM })
  const clock = createFakeClock()
  const wires = new Map<string, Wire>()
  const hub = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-1' })
  const edge = await openGossipNode(topology, 'edge', wires, { clock, epoch: 'edge-1' })
  return { topology, clock, wires, hub, edge }
}

const knownAt = async ({ ledger }: GossipNode) =>
  (await ledger.page(0, 10_000)).entries.map(({ key }) => `${key.repository}:${key.reference}`)
const requestsOf = ({ exchanges }: GossipNode) =>
  exchanges.map(({ request }) => decodeFeedRequest(request))
const answersOf = ({ exchanges }: GossipNode) =>
  exchanges.map(({ answer }) => decodeFeedAnswer(answer))

describe('gossip / feed after a loss', () => {
  test('a sender that was put back to a backup gives its lost numbers out again, and is read from the beginning', async () => {
    const { topology, hub, edge, wires, clock } = await setUp()
    await hub.know(put(hub, 'v1'))
    const backup = await copyOf(hub.backend)
    await hub.know(put(hub, 'lost-1'), put(hub, 'lost-2'))
    edge.follow(hub)
    await settle()
    expect(edge.index.get(CURSOR, hubPeer)).toMatchObject({ epoch: 'hub-1', number: 3 })
    edge.reader.unfollow(hub.self)
    const options = { clock, backend: backup, epoch: 'hub-2' }
    const again = await openGossipNode(topology, 'hub', wires, options)
    // Its numbers run past the reader's position in an epoch that it still knows.
    await again.know(...['v2', 'v3', 'v4', 'v5'].map((tag) => put(again, tag)))
    edge.follow(again)
    await settle()
    expect(answersOf(edge).at(-1)).toMatchObject({ epoch: 'hub-2', restarted: true, through: 5 })
    const all = ['lost-1', 'lost-2', 'v1', 'v2', 'v3', 'v4', 'v5'].map((tag) => `demo/app:${tag}`)
    expect((await knownAt(edge)).sort()).toEqual(all)
  })

  test('a reader that was put back to a backup, or lost its disk, is sent again what it lost', async () => {
    const { topology, hub, edge, wires, clock } = await setUp()
    await hub.know(put(hub, 'v1'))
    edge.follow(hub)
    await settle()
    const backup = await copyOf(edge.backend)
    await hub.know(put(hub, 'v2'))
    await settle()
    edge.reader.unfollow(hub.self)
    await hub.know(put(hub, 'v3'))
    for (const backend of [backup, undefined]) {
      const options = { clock, epoch: 'edge-2', ...(backend && { backend }) }
      const again = await openGossipNode(topology, 'edge', wires, options)
      again.follow(hub)
      await settle()
      expect((await knownAt(again)).sort()).toEqual(['demo/app:v1', 'demo/app:v2', 'demo/app:v3'])
      expect(requestsOf(again)[0]?.position?.number).toBe(backend && 1)
      again.reader.unfollow(hub.self)
    }
  })

  test('both ends read on whatever their clocks say', async () => {
    const { hub, edge, clock } = await setUp()
    edge.follow(hub)
    await settle()
    const records = [0, 1, 2, 3].map((at) => put(hub, `v${at}`))
    for (const [at, jumpMs] of [3_600_000, -3_500_000, 86_400_000, -86_400_000].entries()) {
      clock.jump(jumpMs)
      await hub.know(...records.slice(at, at + 1))
      await clock.advance(1_000)
      expect(await knownAt(edge)).toContain(`demo/app:v${at}`)
    }
    expect(edge.exchanges.length).toBeLessThan(15)
  })

  test('the end is reached without a wait, also when nothing of the last page may be shown', async () => {
    const { hub, edge } = await setUp()
    await hub.know(...Array.from({ length: 500 }, (_, at) => put(hub, `v${at}`)))
    const hidden = { repository: repo('private/app'), reference: ref('v1') }
    await hub.know(hub.author.put([], { ...hidden, digest: digestNamed('hidden') }))
    edge.follow(hub)
    for (let turn = 0; turn < 100 && edge.exchanges.length < 2; turn += 1) await settle()
    expect(answersOf(edge)).toMatchObject([{ head: 501 }, { entries: [], through: 501 }])
  })

  test.each([
    ['nothing, and claims to have more', { through: 0, head: 9, entries: [], restarted: false }],
    ['the same again', { through: 1, head: 9, entries: [{ records: [] }], restarted: false }],
    ['a new beginning', { through: 1, head: 1, entries: [{ records: [] }], restarted: true }],
  ])('a sender that answers at once with %s is asked once a second', async (_, lie) => {
    const { hub, edge, clock, wires } = await setUp()
    let asked = 0
    wires.get(hubPeer)?.handlers.set(FEED_PROTOCOL, async () => {
      asked += 1
      if (asked > 100) throw new Error('asked without end')
      return encodeFeedAnswer({ version: 1, epoch: 'hub-1', filter: 'any', ...lie })
    })
    edge.follow(hub)
    await clock.advance(10_000)
    expect(asked).toBeLessThanOrEqual(14)
    await edge.reader[Symbol.asyncDispose]()
  })
})

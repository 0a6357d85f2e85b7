import { describe, expect, test } from 'vitest'
import { decodeFeedAnswer, decodeFeedRequest } from '../../../src/gossip/feed-codec.ts'
import { MAX_FRAME_BYTES } from '../../../src/gossip/network.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { CURSOR, PARKED } from '../../../src/storage/index-tables.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock, START_MS, settle } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'
import { createWriter, digestNamed, REALM, ref, repo } from '../../helpers/writers.ts'
import { type GossipNode, openGossipNode, type Wire } from './gossip-node.ts'

const REPO = repo('demo/app')

function put(
  hub: GossipNode,
  reference: string,
  repository = REPO,
  mediaType?: string,
): SignedRecord {
  const key = { repository, reference: ref(reference), digest: digestNamed(reference) }
  return hub.author.put([], { ...key, ...(mediaType === undefined ? {} : { mediaType }) })
}

async function setUp(topology = starTopology(['edge'], { realm: REALM }), ownFile = topology) {
  const clock = createFakeClock()
  const wires = new Map<string, Wire>()
  const hub = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-1' })
  const edge = await openGossipNode(topology, 'edge', wires, { clock, epoch: 'edge-1', ownFile })
  return { topology, clock, wires, hub, edge }
}

const hubPeer = peerIdOfName('hub')

const knownAt = async ({ ledger }: GossipNode) =>
  (await ledger.page(0, 10_000)).entries.map(({ key }) => `${key.repository}:${key.reference}`)
const requestsOf = ({ exchanges }: GossipNode) =>
  exchanges.map(({ request }) => decodeFeedRequest(request))
const answersOf = ({ exchanges }: GossipNode) =>
  exchanges.map(({ answer }) => decodeFeedAnswer(answer))

/** `edge` gets releases only; `other` gets everything. */
function releasesOnly() {
  const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: ${REALM}, generation: 1 }
nodes: { hub: { peerId: ${hubPeer} }, edge: { peerId: ${peerIdOfName('edge')} } }
origins: [{ repos: ["**"], writers: hub }]
policies:
  releases: { match: { repos: ["demo/**"], tags: { include: ["v*"] } }, mode: eager }
links: [{ shape: star, center: hub, leaves: [edge], policies: [releases] }]
`)
  if (topology === undefined) throw new Error('the topology is right')
  return topology
}

describe('gossip / feed', () => {
  test('a reader gets everything that the sender knows and may show it, and no more', async () => {
    const { hub, edge } = await setUp(releasesOnly())
    await hub.know(put(hub, 'v1'), put(hub, 'main'), put(hub, 'v1', repo('private/app')))
    edge.follow(hub)
    await settle()
    expect(await knownAt(edge)).toEqual(['demo/app:v1'])
    const sent = answersOf(edge).flatMap(({ entries }) => entries)
    expect(sent).toHaveLength(1)
  })

  test('records arrive byte for byte', async () => {
    const { hub, edge } = await setUp()
    const signed = put(hub, 'v1')
    await hub.know(signed)
    edge.follow(hub)
    await settle()
    const [record] = edge.ledger.entry(signed.record)?.history ?? []
    expect(record && Buffer.compare(record.bytes, signed.bytes)).toBe(0)
    expect(edge.happened).toMatchObject([
      { kind: 'record-stored', arrival: { via: 'feed', from: 'hub' } },
    ])
  })

  test('a reader that is up to date hears of news at once, without asking again and again', async () => {
    const { hub, edge, clock } = await setUp()
    edge.follow(hub)
    await settle()
    // The first answer comes at once, so that the reader knows where the feed ends; the second waits.
    expect(answersOf(edge)).toMatchObject([{ entries: [], through: 0, head: 0 }])
    expect(requestsOf(edge)[0]?.waitMs).toBe(0)
    await hub.know(put(hub, 'v1'))
    await settle()
    expect(await knownAt(edge)).toEqual(['demo/app:v1'])
    expect(edge.exchanges).toHaveLength(2)
    // Without news: one request and one answer in each wait, however much both know.
    await hub.know(...Array.from({ length: 1_000 }, (_, at) => put(hub, `t${at}`)))
    await settle()
    const before = edge.exchanges.length
    await clock.advance(10 * 30_000)
    expect(edge.exchanges.length - before).toBe(10)
  })

  test('news that come in any turn between the look and the wait are not slept through', async () => {
    for (let turns = 0; turns < 60; turns += 1) {
      const { hub, edge } = await setUp()
      edge.follow(hub)
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      await hub.know(put(hub, 'v1'))
      await settle()
      expect(await knownAt(edge), `after ${turns} turns`).toEqual(['demo/app:v1'])
    }
  })

  test('news that may not be shown wake nobody, and are passed when the wait is over', async () => {
    const { hub, edge, clock } = await setUp(releasesOnly())
    edge.follow(hub)
    await settle()
    await hub.know(put(hub, 'main'))
    await settle()
    expect(edge.exchanges).toHaveLength(1)
    await clock.advance(30_000)
    expect(answersOf(edge).slice(1)).toMatchObject([{ entries: [], through: 1, restarted: false }])
    expect(edge.index.get(CURSOR, hubPeer)).toMatchObject({ epoch: 'hub-1', number: 1 })
  })

  test('a signature is sent when a tag that passes comes to name its image', async () => {
    const { hub, edge } = await setUp(releasesOnly())
    const digest = digestNamed('signature')
    const about = { repository: REPO, reference: digest, digest, subject: digestNamed('v1') }
    await hub.know(hub.author.put([], about))
    edge.follow(hub)
    await settle()
    expect(await knownAt(edge)).toEqual([])
    await hub.know(put(hub, 'v1'))
    await settle()
    expect((await knownAt(edge)).sort()).toEqual([`demo/app:${digest}`, 'demo/app:v1'].sort())
  })

  test('what the sender holds is told: whole, or for which platforms', async () => {
    const { hub, edge } = await setUp()
    const [whole, part, none] = ['v1', 'v2', 'v3'].map((name) => put(hub, name))
    if (!whole || !part || !none) throw new Error('three records')
    await hub.know(whole, part, none)
    await hub.index.transact((tx) => {
      hub.ledger.hold(tx, whole.record, { digest: digestNamed('v1'), coverage: 'all' })
      hub.ledger.hold(tx, part.record, { digest: digestNamed('v2'), coverage: ['linux/amd64'] })
    })
    edge.follow(hub)
    await settle()
    expect(edge.happened.filter(({ kind }) => kind === 'holder-found')).toEqual([
      { kind: 'holder-found', node: 'hub', repository: REPO, digest: digestNamed('v1') },
      {
        kind: 'holder-found',
        node: 'hub',
        repository: REPO,
        digest: digestNamed('v2'),
        platforms: ['linux/amd64'],
      },
    ])
  })

  test('many entries come in several answers, each within a frame, and all of them once', async () => {
    const { hub, edge } = await setUp()
    const long = 'm'.repeat(255)
    const records = Array.from({ length: 1_400 }, (_, at) =>
      put(hub, `v${String(at).padStart(120, '0')}`, repo(`demo/${'a'.repeat(250)}`), long),
    )
    await hub.know(...records)
    edge.follow(hub)
    for (let turn = 0; edge.ledger.head() < records.length && turn < 100; turn += 1) await settle()
    expect(edge.ledger.head()).toBe(records.length)
    expect(edge.exchanges.length).toBeGreaterThan(1)
    for (const { answer } of edge.exchanges) expect(answer.length).toBeLessThan(MAX_FRAME_BYTES)
    const entries = answersOf(edge).map((answer) => answer.entries.length)
    expect(Math.max(...entries)).toBeLessThanOrEqual(500)
    expect(entries.reduce((sum, count) => sum + count, 0)).toBe(records.length)
  })

  test('after a break the reader goes on where it was, however long the break', async () => {
    const { hub, edge, wires, clock } = await setUp()
    await hub.know(put(hub, 'v1'))
    edge.follow(hub)
    await settle()
    const wire = wires.get(hubPeer)
    if (wire === undefined) throw new Error('the hub is on the wire')
    wire.isUp = false
    await hub.know(put(hub, 'v2'))
    await settle()
    const before = edge.exchanges.length
    await clock.advance(600_000)
    expect(edge.exchanges.length).toBe(before)
    wire.isUp = true
    await hub.know(put(hub, 'v3'))
    await clock.advance(30_000)
    expect(await knownAt(edge)).toEqual(['demo/app:v1', 'demo/app:v2', 'demo/app:v3'])
    const positions = requestsOf(edge).map(({ position }) => position?.number)
    expect(positions).toEqual([undefined, 1, 2])
  })

  test('a sender that begins a new epoch over the same index is read on', async () => {
    const { topology, hub, edge, wires, clock } = await setUp()
    await hub.know(put(hub, 'v1'))
    edge.follow(hub)
    await settle()
    edge.reader.unfollow(hub.self)
    const { backend } = hub
    const again = await openGossipNode(topology, 'hub', wires, { clock, backend, epoch: 'hub-2' })
    await again.know(put(again, 'v2'))
    edge.follow(again)
    await settle()
    expect(answersOf(edge).at(-1)).toMatchObject({ epoch: 'hub-2', restarted: false, through: 2 })
    expect(answersOf(edge).at(-1)?.entries).toHaveLength(1)
  })

  test('a sender that lost its index is read from the beginning, and says so', async () => {
    const { topology, hub, edge, wires, clock } = await setUp()
    await hub.know(put(hub, 'v1'), put(hub, 'v2'))
    edge.follow(hub)
    await settle()
    edge.reader.unfollow(hub.self)
    const again = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-9' })
    await again.know(put(again, 'v3'))
    edge.follow(again)
    await settle()
    expect(answersOf(edge).at(-1)).toMatchObject({ restarted: true, through: 1 })
    expect(await knownAt(edge)).toEqual(['demo/app:v1', 'demo/app:v2', 'demo/app:v3'])
  })

  test('when the sender shows other things, reading begins again', async () => {
    const narrow = releasesOnly()
    const { hub, edge, wires, clock } = await setUp(narrow)
    await hub.know(put(hub, 'main'), put(hub, 'v1'))
    edge.follow(hub)
    await settle()
    edge.reader.unfollow(hub.self)
    const { backend } = hub
    const wide = starTopology(['edge'], { realm: REALM })
    const again = await openGossipNode(wide, 'hub', wires, { clock, backend, epoch: 'hub-2' })
    edge.follow(again)
    await settle()
    expect(answersOf(edge).at(-1)).toMatchObject({ restarted: true })
    expect((await knownAt(edge)).sort()).toEqual(['demo/app:main', 'demo/app:v1'])
  })

  test('when the own file lets other things through, reading begins again', async () => {
    const { topology, hub, edge, wires, clock } = await setUp(undefined, releasesOnly())
    await hub.know(put(hub, 'v1'))
    edge.follow(hub)
    await settle()
    edge.reader.unfollow(hub.self)
    const { backend } = edge
    const again = await openGossipNode(topology, 'edge', wires, { clock, backend, epoch: 'edge-2' })
    again.follow(hub)
    await settle()
    expect(requestsOf(again)[0]).not.toHaveProperty('position')
    expect(await knownAt(again)).toEqual(['demo/app:v1'])
  })

  test('what the own file does not let through is not taken, whatever is sent', async () => {
    const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: ${REALM}, generation: 1 }
nodes: { hub: { peerId: ${hubPeer} }, edge: { peerId: ${peerIdOfName('edge')} } }
origins: [{ repos: ["**"], writers: hub }]
policies: { one: { match: { repos: ["demo/one"] }, mode: eager } }
links: [{ shape: star, center: hub, leaves: [edge], policies: [one] }]
`)
    const { hub, edge } = await setUp(undefined, topology)
    await hub.know(put(hub, 'v1', repo('demo/one')), put(hub, 'v1', repo('demo/two')))
    edge.follow(hub)
    await settle()
    expect(await knownAt(edge)).toEqual(['demo/one:v1'])
    expect(edge.index.get(CURSOR, hubPeer)?.number).toBe(2)
  })

  test('parked and refused records are passed, the first kept aside, the others reported once', async () => {
    const { hub, edge } = await setUp()
    const nobody = createWriter('nobody')
    const key = { repository: REPO, digest: digestNamed('x') }
    const foreign = createWriter('x', { realm: 'elsewhere', identity: hub.author.identity })
    await hub.know(
      nobody.put([], { ...key, reference: ref('a') }),
      foreign.put([], { ...key, reference: ref('b') }),
      foreign.put([], { ...key, reference: ref('c') }),
      put(hub, 'd'),
    )
    edge.follow(hub)
    await settle()
    expect(await knownAt(edge)).toEqual(['demo/app:d'])
    expect(edge.index.get(CURSOR, hubPeer)?.number).toBe(4)
    expect(await edge.index.page(PARKED, { limit: 10 })).toHaveLength(1)
    const refused = edge.happened.filter(({ kind }) => kind === 'record-refused')
    expect(refused).toMatchObject([
      { reason: 'no-writer' },
      { reason: `realm elsewhere, expected ${REALM}` },
    ])
  })

  test('what finds no room in the park holds up nothing, and is read again when there is room, also after a restart', {
    timeout: 30_000,
  }, async () => {
    const { hub, edge, clock, topology, wires } = await setUp()
    const ahead = createWriter('hub', {
      identity: hub.author.identity,
      last: timeOfMs(START_MS + 3_600_000),
    })
    const early = Array.from({ length: 1_010 }, (_, at) =>
      ahead.put([], { repository: REPO, reference: ref(`early${at}`), digest: digestNamed('x') }),
    )
    await hub.know(...early, put(hub, 'now'))
    edge.follow(hub)
    await clock.advance(60_000)
    expect(await knownAt(edge)).toEqual(['demo/app:now'])
    expect(edge.index.get(CURSOR, hubPeer)).toMatchObject({ number: 1_011, again: 1_000 })
    expect(await edge.index.page(PARKED, { limit: 2_000 })).toHaveLength(1_000)
    const asked = edge.exchanges.length
    await clock.advance(120_000)
    // Nothing has changed: it is not read again and again.
    expect(edge.exchanges.length - asked).toBeLessThan(6)
    await edge.reader[Symbol.asyncDispose]()
    clock.jump(3_600_000)
    const again = await openGossipNode(topology, 'edge', wires, {
      clock,
      epoch: 'edge-2',
      backend: edge.backend,
    })
    await again.receiver.openPark()
    again.follow(hub)
    await clock.advance(60_000)
    expect(await knownAt(again)).toHaveLength(1_011)
    expect(again.index.get(CURSOR, hubPeer)).not.toHaveProperty('again')
  })

  test('a full park is read for again without a restart, once it has room', {
    timeout: 30_000,
  }, async () => {
    const { hub, edge, clock } = await setUp()
    const ahead = createWriter('hub', {
      identity: hub.author.identity,
      last: timeOfMs(START_MS + 3_600_000),
    })
    const early = Array.from({ length: 1_001 }, (_, at) =>
      ahead.put([], { repository: REPO, reference: ref(`early${at}`), digest: digestNamed('x') }),
    )
    await hub.know(...early)
    edge.follow(hub)
    await clock.advance(30_000)
    clock.jump(3_600_000)
    await edge.receiver.unpark()
    await clock.advance(90_000)
    expect(await knownAt(edge)).toHaveLength(1_001)
  })

  test('each answer tells the clock of the sender, and a jump of either clock is known as soon as the wait is over', async () => {
    const topology = starTopology(['edge'], { realm: REALM })
    const clock = createFakeClock()
    const wires = new Map<string, Wire>()
    const off = { hub: 0, edge: 0 }
    const hub = await openGossipNode(topology, 'hub', wires, {
      clock: { ...clock, now: () => clock.now() + off.hub },
    })
    const edge = await openGossipNode(topology, 'edge', wires, {
      clock: { ...clock, now: () => clock.now() + off.edge },
    })
    edge.follow(hub)
    await settle()
    await clock.advance(61_000)
    expect(edge.offsets.length).toBeGreaterThan(1)
    for (const measured of edge.offsets) expect(measured).toEqual(['hub', 0])
    for (const [name, ms] of [
      ['edge', 7_200_000],
      ['hub', -3_600_000],
    ] as const) {
      const before = edge.exchanges.length
      off[name] += ms
      await clock.advance(30_000)
      expect(edge.offsets.at(-1)).toEqual(['hub', off.hub - off.edge])
      expect(edge.exchanges.length - before).toBeLessThan(4)
    }
  })

  test('records and position are durable together: after a failed write both come again', async () => {
    const { hub, edge, clock } = await setUp()
    await hub.know(put(hub, 'v1'))
    const batch = edge.backend.batch.bind(edge.backend)
    Reflect.set(edge.backend, 'batch', async () => {
      throw new Error('no space left on device')
    })
    edge.follow(hub)
    await settle()
    expect([edge.index.get(CURSOR, hubPeer), edge.ledger.head()]).toEqual([undefined, 0])
    Reflect.set(edge.backend, 'batch', batch)
    await clock.advance(30_000)
    expect([edge.index.get(CURSOR, hubPeer)?.number, edge.ledger.head()]).toEqual([1, 1])
  })

  test('a peer that is not in the topology is given nothing', async () => {
    const { hub, wires } = await setUp()
    await hub.know(put(hub, 'v1'))
    const own = starTopology(['stranger'], { realm: REALM })
    const stranger = await openGossipNode(own, 'stranger', wires)
    stranger.follow(hub)
    await settle()
    expect([stranger.exchanges, stranger.ledger.head()]).toEqual([[], 0])
  })

  test('a writer reads its own repositories back over a link that leads away from it', async () => {
    const { hub, edge } = await setUp(releasesOnly())
    await edge.know(put(hub, 'main'))
    hub.follow(edge)
    await settle()
    expect(await knownAt(hub)).toEqual(['demo/app:main'])
  })

  test('who is told to stop following asks no more, and who follows twice asks once', async () => {
    const { hub, edge, clock } = await setUp()
    edge.follow(hub)
    edge.follow(hub)
    await settle()
    await hub.know(put(hub, 'v1'))
    await settle()
    expect(edge.exchanges).toHaveLength(2)
    edge.reader.unfollow(hub.self)
    await hub.know(put(hub, 'v2'))
    await clock.advance(120_000)
    expect(await knownAt(edge)).toEqual(['demo/app:v1'])
    expect(clock.sleeping()).toBe(0)
  })

  test('closing ends every wait at both ends', async () => {
    const { hub, edge, clock } = await setUp()
    edge.follow(hub)
    // What begins at the start is over.
    await clock.advance(1_000)
    expect(clock.sleeping()).toBe(1)
    await edge.reader[Symbol.asyncDispose]()
    await settle()
    expect(clock.sleeping()).toBe(0)
  })
})

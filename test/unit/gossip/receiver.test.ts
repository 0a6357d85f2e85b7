import { describe, expect, test } from 'vitest'
import type { Verdict } from '../../../src/gossip/admission.ts'
import type { ParkedVerdict } from '../../../src/gossip/park.ts'
import type { PeerId } from '../../../src/record/peer-id.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { CURSOR, PARKED } from '../../../src/storage/index-tables.ts'
import { eventually } from '../../helpers/eventually.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { starTopology } from '../../helpers/star-topology.ts'
import {
  createWriter,
  digestNamed,
  identityNamed,
  REALM,
  ref,
  repo,
} from '../../helpers/writers.ts'
import { type GossipNode, nodeName, openGossipNode } from './gossip-node.ts'

const FROM_FEED = { via: 'feed', from: nodeName('hub') } as const
const KEY = { repository: repo('demo/app'), reference: ref('v1') }

async function setUp() {
  const wires = new Map()
  const topology = starTopology(['edge'], { realm: REALM })
  const hub = await openGossipNode(topology, 'hub', wires)
  return { hub, edge: await openGossipNode(topology, 'edge', wires) }
}

const admitted = (signed: SignedRecord): Verdict => ({ kind: 'admitted', signed })
const put = (node: GossipNode, content: string, reference = 'v1') =>
  node.author.put([], { ...KEY, reference: ref(reference), digest: digestNamed(content) })
const parkedIds = async ({ index }: GossipNode) =>
  (await index.page(PARKED, { limit: 100 })).map(([id]) => id)

describe('gossip / receiver', () => {
  test('new records are stored in one transaction and told of; known ones change nothing and are told to nobody', async () => {
    const { hub, edge } = await setUp()
    const records = [put(hub, 'one', 'v1'), put(hub, 'two', 'v2')]
    await edge.receiver.receive(records.map(admitted), FROM_FEED)
    expect(edge.happened).toEqual(
      records.map((signed) => ({ kind: 'record-stored', signed, arrival: FROM_FEED })),
    )
    const head = edge.ledger.head()
    await edge.receiver.receive(records.map(admitted), FROM_FEED)
    expect([edge.happened.length, edge.ledger.head()]).toEqual([2, head])
  })

  test('what is written alongside is there with the records, or neither is', async () => {
    const { hub, edge } = await setUp()
    const cursor = { filter: 'a:b', epoch: 'x', number: 5 }
    await edge.receiver.receive([admitted(put(hub, 'one'))], FROM_FEED, (tx) =>
      tx.put(CURSOR, 'hub', cursor),
    )
    expect(edge.index.get(CURSOR, 'hub')).toEqual(cursor)
    const failing = edge.receiver.receive([admitted(put(hub, 'two', 'v2'))], FROM_FEED, () => {
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(edge.ledger.entry({ ...KEY, reference: ref('v2') })).toBeUndefined()
    expect(edge.happened).toHaveLength(1)
  })

  test('after news from elsewhere this node signs later times only', async () => {
    const { edge } = await setUp()
    const time = timeOfMs(START_MS + 30_000)
    const ahead = createWriter('ahead', { last: time })
    await edge.receiver.receive(
      [admitted(ahead.put([], { ...KEY, digest: digestNamed('x') }))],
      FROM_FEED,
    )
    expect(edge.logicalClock.next([])).toBeGreaterThan(time + 1)
  })

  test('a parked record is put aside once, is not shown, and does not move the clock', async () => {
    const { edge } = await setUp()
    const future = createWriter('hub', { last: timeOfMs(START_MS + 3_600_000) })
    const signed = future.put([], { ...KEY, digest: digestNamed('x') })
    const verdict: Verdict = { kind: 'parked', signed, reason: 'future' }
    await edge.receiver.receive([verdict], FROM_FEED)
    await edge.receiver.receive([verdict, verdict], FROM_FEED)
    expect(await parkedIds(edge)).toEqual([signed.id])
    expect(edge.ledger.entry(KEY)).toBeUndefined()
    expect(edge.logicalClock.next([])).toBeLessThan(signed.record.time)
  })

  test('a parked record is stored when its time has come, and makes room', async () => {
    const { hub, edge } = await setUp()
    hub.clock.jump(90_000)
    const [early, never] = [put(hub, 'early'), createWriter('nobody')]
    const wrong = never.put([], { ...KEY, digest: digestNamed('wrong') })
    await edge.receiver.receive(
      [edge.admission.check(early.bytes), edge.admission.check(wrong.bytes)],
      FROM_FEED,
    )
    await edge.receiver.unpark()
    expect((await parkedIds(edge)).sort()).toEqual([early.id, wrong.id].sort())
    edge.clock.jump(30_000)
    await edge.receiver.unpark()
    expect(await parkedIds(edge)).toEqual([wrong.id])
    expect(edge.ledger.entry(KEY)?.history.map(({ id }) => id)).toEqual([early.id])
    expect(edge.happened.filter(({ kind }) => kind === 'record-stored')).toHaveLength(1)
  })

  test('a parked record that comes again when it is due leaves its place', async () => {
    const { hub, edge } = await setUp()
    hub.clock.jump(90_000)
    const signed = put(hub, 'early')
    await edge.receiver.receive([edge.admission.check(signed.bytes)], FROM_FEED)
    edge.clock.jump(90_000)
    await edge.receiver.receive([edge.admission.check(signed.bytes)], FROM_FEED)
    expect(await parkedIds(edge)).toEqual([])
  })

  const FUTURE_MS = 3_600_000
  const future = (node: GossipNode, at: number, name = 'hub'): ParkedVerdict => {
    const last = timeOfMs(START_MS + FUTURE_MS + at)
    const identity = name === 'hub' ? node.author.identity : identityNamed(name)
    const reference = ref(`v${at}`)
    const signed = createWriter(name, { last, identity }).put([], {
      ...KEY,
      reference,
      digest: digestNamed('x'),
    })
    return { kind: 'parked', signed, reason: 'future' }
  }
  const count = async ({ index }: GossipNode) =>
    (await index.page(PARKED, { limit: 20_000 })).length

  test('parked records are stored in the order of their times, each when it is due, also after a restart', async () => {
    const { hub, edge } = await setUp()
    const order = [5, 1, 400, 3, 200, 2]
    await edge.receiver.receive(
      order.map((at) => future(hub, at * 1_000)),
      FROM_FEED,
    )
    const again = await openGossipNode(
      starTopology(['edge'], { realm: REALM }),
      'edge',
      new Map(),
      {
        clock: edge.clock,
        backend: edge.backend,
      },
    )
    await again.receiver.openPark()
    expect(again.happened).toEqual([])
    expect(again.receiver.nextDueMs()).toBe(START_MS + FUTURE_MS + 1_000 - 60_000)
    edge.clock.jump(FUTURE_MS - 60_000 + 10_000)
    await again.receiver.unpark()
    const stored = () =>
      again.happened.flatMap((event) =>
        event.kind === 'record-stored' ? [event.signed.record.reference] : [],
      )
    expect(stored()).toEqual(['v1000', 'v2000', 'v3000', 'v5000'])
    edge.clock.jump(600_000)
    await again.receiver.unpark()
    expect(stored().slice(4)).toEqual(['v200000', 'v400000'])
    expect(await count(again)).toBe(0)
    expect(again.receiver.nextDueMs()).toBeUndefined()
  })

  test('what came due while the node was down is stored in the order of times at its start', async () => {
    const { hub, edge } = await setUp()
    const order = [5, 1, 4, 3, 2]
    await edge.receiver.receive(
      order.map((at) => future(hub, at)),
      FROM_FEED,
    )
    edge.clock.jump(FUTURE_MS)
    const again = await openGossipNode(
      starTopology(['edge'], { realm: REALM }),
      'edge',
      new Map(),
      { clock: edge.clock, backend: edge.backend },
    )
    await again.receiver.openPark()
    const stored = again.happened.flatMap((event) =>
      event.kind === 'record-stored' ? [event.signed.record.reference] : [],
    )
    expect(stored).toEqual(['v1', 'v2', 'v3', 'v4', 'v5'])
  })

  test('a parked record that lost its right, or got it, holds up no other and is due in its time', async () => {
    const { hub, edge } = await setUp()
    const other = starTopology(['edge', 'second'], { realm: REALM })
    const second = await openGossipNode(other, 'second', new Map())
    const [lost, next] = [future(second, 1_000), future(hub, 2_000)]
    const { signed } = future(hub, 3_000)
    const rightCame: Verdict = { kind: 'parked', signed, reason: 'no-writer' }
    await edge.receiver.receive([lost, next, rightCame], FROM_FEED)
    const again = await openGossipNode(
      starTopology(['edge'], { realm: REALM }),
      'edge',
      new Map(),
      { clock: edge.clock, backend: edge.backend },
    )
    await again.receiver.openPark()
    expect(again.receiver.nextDueMs()).toBe(START_MS + FUTURE_MS + 2_000 - 60_000)
    edge.clock.jump(FUTURE_MS + 10_000)
    await again.receiver.unpark()
    const stored = again.happened.flatMap((event) =>
      event.kind === 'record-stored' ? [event.signed.record.reference] : [],
    )
    expect(stored).toEqual(['v2000', 'v3000'])
    expect(await parkedIds(again)).toEqual([lost.signed.id])
    expect(again.receiver.nextDueMs()).toBeUndefined()
  })

  test('many parked records are all stored', async () => {
    const { hub, edge } = await setUp()
    await edge.receiver.receive(
      Array.from({ length: 600 }, (_, at) => future(hub, at)),
      FROM_FEED,
    )
    expect(await count(edge)).toBe(600)
    edge.clock.jump(FUTURE_MS)
    await edge.receiver.unpark()
    expect([await count(edge), edge.ledger.head()]).toEqual([0, 600])
  })

  test('one writer has its share of the park: what is beyond is left out, the position says so, and others still find room', async () => {
    const { hub, edge } = await setUp()
    const verdicts = Array.from({ length: 1_010 }, (_, at) => future(hub, at))
    const told: number[] = []
    await edge.receiver.receive(
      [...verdicts, admitted(put(hub, 'now', 'now'))],
      FROM_FEED,
      (_, leftOut) => {
        told.push(leftOut)
      },
    )
    expect([told, await count(edge), edge.ledger.head()]).toEqual([[10], 1_000, 1])
    const other = future(hub, 5_000, 'another')
    expect(other.kind === 'parked' && edge.receiver.parks(other)).toBe(true)
    await edge.receiver.receive([other], FROM_FEED)
    expect(await count(edge)).toBe(1_001)
    const room = edge.receiver.roomMade()
    edge.clock.jump(FUTURE_MS)
    await edge.receiver.unpark()
    expect(edge.receiver.roomMade()).toBeGreaterThan(room)
  })

  test('keys without a right fill half of the park at most', async () => {
    const { hub, edge } = await setUp()
    const signed = put(hub, 'x')
    // The park looks at neither signature nor key.
    const strange = (writer: PeerId, at: number): Verdict => ({
      kind: 'parked',
      signed: { ...signed, id: `${writer} ${at}`, writer },
      reason: 'no-writer',
    })
    for (let round = 0; round < 6; round += 1) {
      const { peerId } = identityNamed(`nobody ${round}`)
      const verdicts = Array.from({ length: 900 }, (_, at) => strange(peerId, at))
      await edge.receiver.receive(verdicts, FROM_FEED)
    }
    expect(await count(edge)).toBe(5_000)
    await edge.receiver.receive([future(hub, 1)], FROM_FEED)
    expect(await count(edge)).toBe(5_001)
  })

  test('what could not be parked or taken out durably is parked, and taken out, when it comes again', async () => {
    const { hub, edge } = await setUp()
    const batch = edge.backend.batch.bind(edge.backend)
    const fail = () =>
      Reflect.set(edge.backend, 'batch', async () => {
        throw new Error('no space left on device')
      })
    const verdict = future(hub, 1)
    fail()
    await expect(edge.receiver.receive([verdict], FROM_FEED)).rejects.toThrow()
    Reflect.set(edge.backend, 'batch', batch)
    await eventually(async () => {
      await edge.receiver.receive([verdict], FROM_FEED)
      return (await count(edge)) === 1
    })
    edge.clock.jump(FUTURE_MS)
    fail()
    await expect(edge.receiver.unpark()).rejects.toThrow()
    Reflect.set(edge.backend, 'batch', batch)
    await eventually(async () => {
      await edge.receiver.unpark()
      return edge.ledger.head() === 1
    })
    expect(await count(edge)).toBe(0)
  })

  test('a record from the future is told of once, so that it can be relayed; one without a right is not', async () => {
    const { hub, edge } = await setUp()
    const verdict = future(hub, 1)
    const wrong = createWriter('nobody').put([], { ...KEY, digest: digestNamed('x') })
    for (let round = 0; round < 2; round += 1) {
      await edge.receiver.receive([verdict, edge.admission.check(wrong.bytes)], FROM_FEED)
    }
    const parked = edge.happened.filter(({ kind }) => kind === 'record-parked')
    expect(parked).toMatchObject([{ arrival: FROM_FEED }])
    expect(edge.ledger.head()).toBe(0)
  })

  test('a refusal is told once per writer, reason and repository', async () => {
    const { edge } = await setUp()
    const writers = ['x', 'y'].map((name) => createWriter(name))
    for (let round = 0; round < 3; round += 1) {
      for (const writer of writers) {
        const signed = writer.put([], { ...KEY, digest: digestNamed(`${round}`) })
        await edge.receiver.receive([edge.admission.check(signed.bytes)], FROM_FEED)
      }
      edge.receiver.report({ kind: 'invalid', reason: 'too short' }, nodeName('hub'))
    }
    expect(edge.happened).toEqual([
      ...['x', 'y'].map((name) => ({
        kind: 'record-refused',
        reason: 'no-writer',
        writer: identityNamed(name).peerId,
        from: 'hub',
      })),
      { kind: 'record-refused', reason: 'too short', from: 'hub' },
    ])
  })

  test('a key that is in two places raises an alarm that names the writer', async () => {
    const { edge } = await setUp()
    const twins = ['1', '2'].map((content) =>
      createWriter('hub').put([], { ...KEY, digest: digestNamed(content) }),
    )
    await edge.receiver.receive(twins.map(admitted), FROM_FEED)
    expect(edge.happened.filter(({ kind }) => kind === 'writer-cloned')).toEqual([
      { kind: 'writer-cloned', writer: identityNamed('hub').peerId, key: KEY },
    ])
  })
})

import { describe, expect, test } from 'vitest'
import type { Verdict } from '../../../src/gossip/admission.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { CURSOR, META, PARKED } from '../../../src/storage/index-tables.ts'
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
    expect(edge.index.get(META, 'parked')?.last).toBe(1)
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
    expect(edge.index.get(META, 'parked')?.last).toBe(1)
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
    expect(edge.index.get(META, 'parked')?.last).toBe(0)
  })

  test('many parked records are all looked at', async () => {
    const { edge } = await setUp()
    const verdicts = Array.from({ length: 600 }, (_, at): Verdict => {
      const last = timeOfMs(START_MS + 3_600_000 + at)
      const identity = edge.author.identity
      const author = createWriter('x', { last, identity })
      const reference = ref(`v${at}`)
      const signed = author.put([], { ...KEY, reference, digest: digestNamed('x') })
      return { kind: 'parked', signed, reason: 'future' }
    })
    await edge.receiver.receive(verdicts, FROM_FEED)
    expect(edge.index.get(META, 'parked')?.last).toBe(600)
    await edge.receiver.unpark()
    expect(edge.index.get(META, 'parked')?.last).toBe(600)
  })

  test('where there is no room to park, the batch leaves no trace: nothing is passed over', async () => {
    const { hub, edge } = await setUp()
    await edge.index.transact((tx) => tx.put(META, 'parked', { last: 10_000 }))
    const parked: Verdict = { kind: 'parked', signed: put(hub, 'x', 'v2'), reason: 'future' }
    const receiving = edge.receiver.receive([admitted(put(hub, 'one')), parked], FROM_FEED)
    await expect(receiving).rejects.toMatchObject({ code: 'PARKED_FULL' })
    expect([edge.ledger.head(), edge.happened]).toEqual([0, []])
    await edge.receiver.receive([admitted(put(hub, 'one'))], FROM_FEED)
    expect(edge.ledger.head()).toBe(1)
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

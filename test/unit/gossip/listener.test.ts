import { describe, expect, test } from 'vitest'
import type { Verdict } from '../../../src/gossip/admission.ts'
import { createListener } from '../../../src/gossip/listener.ts'
import type { GossipMessage, GossipVerdict } from '../../../src/gossip/network.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { PARKED } from '../../../src/storage/index-tables.ts'
import { topicsOf } from '../../../src/topology/groups.ts'
import { eventually } from '../../helpers/eventually.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'
import { createWriter, digestNamed, REALM, ref, repo } from '../../helpers/writers.ts'
import { nodeName, openGossipNode } from './gossip-node.ts'

const KEY = { repository: repo('demo/app'), reference: ref('v1') }

async function setUp(self = 'edge') {
  const topology = starTopology(['edge', 'other'], { realm: REALM })
  const wires = new Map()
  const hub = await openGossipNode(topology, 'hub', wires)
  const node = await openGossipNode(topology, self, wires)
  const joined = new Map<string, (message: GossipMessage) => GossipVerdict>()
  const topics = topicsOf(topology, node.self)
  createListener({
    network: { join: (topic, validate) => void joined.set(topic, validate) },
    topics,
    topology,
    admission: node.admission,
    receiver: node.receiver,
    ledger: node.ledger,
    logger: silentLogger,
  })
  const [topic = ''] = joined.keys()
  const hear = (data: Uint8Array, from = 'hub') =>
    joined.get(topic)?.({ topic, from: peerIdOfName(from), data })
  return { hub, node, hear, topic, joined }
}

const put = (hub: Awaited<ReturnType<typeof setUp>>['hub'], content = 'x', key = KEY) =>
  hub.author.put([], { ...key, digest: digestNamed(content) })

describe('gossip / listener', () => {
  test('a new record from a sending end is passed on and stored, with the way it came', async () => {
    const { hub, node, hear, topic } = await setUp()
    const signed = put(hub)
    expect(hear(signed.bytes)).toBe('accept')
    await settle()
    expect(node.ledger.entry(KEY)?.history.map(({ id }) => id)).toEqual([signed.id])
    expect(node.happened).toEqual([
      { kind: 'record-stored', signed, arrival: { via: 'gossip', from: 'hub', topic } },
    ])
  })

  test('a record that is known, or that newer news replaced, is dropped quietly', async () => {
    const { hub, node, hear } = await setUp()
    const first = put(hub, '1')
    const second = hub.author.put([first], { ...KEY, digest: digestNamed('2') })
    await node.know(second)
    expect([hear(first.bytes), hear(second.bytes)]).toEqual(['ignore', 'ignore'])
    await settle()
    expect(node.ledger.entry(KEY)?.history.map(({ id }) => id)).toEqual([second.id])
  })

  type Case = [
    string,
    GossipVerdict,
    (hub: Awaited<ReturnType<typeof setUp>>['hub']) => [Uint8Array, string],
  ]
  const cases: readonly Case[] = [
    ['of a peer that is not in the topology', 'reject', (hub) => [put(hub).bytes, 'stranger']],
    ['of a neighbour that only receives on the link', 'ignore', (hub) => [put(hub).bytes, 'other']],
    ['that is no record', 'reject', () => [Buffer.from('x'), 'hub']],
    [
      'of another realm',
      'reject',
      () => [
        createWriter('x', { realm: 'other' }).put([], { ...KEY, digest: digestNamed('x') }).bytes,
        'hub',
      ],
    ],
    [
      'whose writer has no right in this file',
      'ignore',
      () => [createWriter('nobody').put([], { ...KEY, digest: digestNamed('x') }).bytes, 'hub'],
    ],
    [
      'of a repository that the link does not let through',
      'reject',
      (hub) => [put(hub, 'x', { ...KEY, repository: repo('private/app') }).bytes, 'hub'],
    ],
  ]
  test.each(cases)('a message %s: %s, and nothing is stored', async (_, verdict, make) => {
    const { hub, node, hear } = await setUp()
    const [data, from] = make(hub)
    expect(hear(data, from)).toBe(verdict)
    await settle()
    expect(node.ledger.head()).toBe(0)
    expect(node.happened.filter(({ kind }) => kind === 'record-stored')).toEqual([])
  })

  test('a record from the future is passed on and parked once; a copy, and what finds no room, is not passed on', async () => {
    const { hub, node, hear } = await setUp()
    hub.clock.jump(3_600_000)
    const signed = put(hub)
    expect(hear(signed.bytes)).toBe('accept')
    await settle()
    expect(hear(signed.bytes)).toBe('ignore')
    expect(node.index.get(PARKED, signed.id)).toBeDefined()
    expect(node.ledger.head()).toBe(0)
    // The park looks at neither signature nor key.
    const verdicts = Array.from(
      { length: 999 },
      (_, at): Verdict => ({
        kind: 'parked',
        signed: { ...signed, id: `${at}` },
        reason: 'future',
      }),
    )
    await node.receiver.receive(verdicts, { via: 'feed', from: node.self })
    expect(hear(put(hub, 'x', { ...KEY, reference: ref('beyond') }).bytes)).toBe('ignore')
  })

  test('a burst is stored in few transactions, newer news of a key replace older ones, and concurrent ones stay', async () => {
    const { hub, node, hear } = await setUp()
    let transactions = 0
    const batch = node.backend.batch.bind(node.backend)
    Reflect.set(node.backend, 'batch', (...args: Parameters<typeof batch>) => {
      transactions += 1
      return batch(...args)
    })
    let last = put(hub, '0')
    hear(last.bytes)
    for (let at = 1; at < 200; at += 1) {
      last = hub.author.put([last], { ...KEY, digest: digestNamed(`${at}`) })
      hear(last.bytes)
    }
    const former = createWriter('hub', { identity: hub.author.identity, last: last.record.time })
    const beside = former.put([], { ...KEY, digest: digestNamed('beside') })
    expect(hear(beside.bytes)).toBe('accept')
    const blind = hub.author.put([last], { ...KEY, digest: digestNamed('blind') })
    expect(hear(blind.bytes)).toBe('accept')
    await eventually(async () => node.ledger.entry(KEY)?.history.length !== 0)
    await settle()
    const kept = node.ledger.entry(KEY)?.history.map(({ id }) => id)
    expect(kept).toContain(blind.id)
    expect(transactions).toBeLessThan(10)
    const stored = node.happened.filter(({ kind }) => kind === 'record-stored')
    expect(stored.length).toBeLessThan(10)
  })

  test('what is refused is reported once, however often it comes', async () => {
    const { node, hear } = await setUp()
    const wrong: SignedRecord = createWriter('nobody').put([], {
      ...KEY,
      digest: digestNamed('x'),
    })
    for (let round = 0; round < 3; round += 1) {
      hear(wrong.bytes)
      hear(Buffer.from('x'))
    }
    expect(node.happened.map(({ kind }) => kind)).toEqual(['record-refused', 'record-refused'])
  })

  test('a node that only sends on a link takes nothing from it', async () => {
    const { hub, node, hear, joined } = await setUp('hub')
    expect(joined.size).toBe(1)
    expect(hear(put(hub).bytes, 'edge')).toBe('reject')
    expect(hear(put(hub).bytes, 'hub')).toBe('reject')
    expect(node.ledger.head()).toBe(0)
  })

  test('a copy that comes before the first is stored changes nothing when it is', async () => {
    const { hub, node, hear } = await setUp()
    const { bytes } = put(hub)
    hear(bytes)
    hear(Uint8Array.from(bytes))
    await settle()
    expect(node.ledger.head()).toBe(1)
    expect(node.happened.filter(({ kind }) => kind === 'record-stored')).toHaveLength(1)
  })

  test('a record that cannot be stored is no fault of the one who sent it', async () => {
    const { hub, node, hear } = await setUp()
    Reflect.set(node.backend, 'batch', async () => {
      throw new Error('no space left on device')
    })
    expect(hear(put(hub).bytes)).toBe('accept')
    await settle()
    expect([node.ledger.head(), nodeName('edge')]).toEqual([0, node.self])
  })
})

import { describe, expect, test } from 'vitest'
import {
  AUDIT_PROTOCOL,
  type AuditAnswer,
  type AuditRequest,
  decodeAuditAnswer,
  decodeAuditRequest,
  encodeAuditAnswer,
  encodeAuditRequest,
} from '../../../src/gossip/audit-codec.ts'
import { keyText, type SignedRecord } from '../../../src/record/tag-record.ts'
import { CURSOR, ENTRY, FEED, numberKey } from '../../../src/storage/index-tables.ts'
import { flow } from '../../../src/topology/flow.ts'
import type { Topology } from '../../../src/topology/topology.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'
import { digestNamed, REALM, ref, repo } from '../../helpers/writers.ts'
import { type GossipNode, nodeName, openGossipNode, type Wire } from './gossip-node.ts'

const REPO = repo('demo/app')
const hubPeer = peerIdOfName('hub')
/** Some buckets. */
const MANY = 1_200

function put(hub: GossipNode, reference: string, digest = reference): SignedRecord {
  const key = { repository: REPO, reference: ref(reference) }
  const history = hub.ledger.entry(key)?.history ?? []
  return hub.author.put(history, { ...key, digest: digestNamed(digest) })
}

/** Hub and edge that know `count` keys each, the edge having read the hub's feed to the end. */
async function setUp(count: number, topology: Topology = starTopology(['edge'], { realm: REALM })) {
  const clock = createFakeClock()
  const wires = new Map<string, Wire>()
  const hub = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-1' })
  const edge = await openGossipNode(topology, 'edge', wires, { clock, epoch: 'edge-1' })
  const records = Array.from({ length: count }, (_, at) => put(hub, `v${at}`))
  for (let at = 0; at < count; at += 500) await hub.know(...records.slice(at, at + 500))
  edge.follow(hub)
  await readAll(edge, hub)
  return { topology, clock, wires, hub, edge, records }
}

async function readAll(reader: GossipNode, sender: GossipNode): Promise<void> {
  const isRead = () => {
    const number = reader.index.get(CURSOR, peerIdOfName(sender.self))?.number
    return number === sender.ledger.head()
  }
  for (let turn = 0; !isRead() && turn < 500; turn += 1) await settle()
}

/** As if the feed had passed it by. */
async function forget({ index }: GossipNode, signed: SignedRecord): Promise<void> {
  const text = keyText(signed.record)
  await index.transact((tx) => {
    tx.delete(FEED, numberKey(tx.get(ENTRY, text)?.number ?? 0))
    tx.delete(ENTRY, text)
  })
}

const requestsOf = ({ audits }: GossipNode) =>
  audits.map(({ request }) => decodeAuditRequest(request).kind)
const bytesOf = ({ audits }: GossipNode) =>
  audits.reduce((sum, { request, answer }) => sum + request.length + answer.length, 0)

/** The hub answers audits as it likes. */
function lie(wires: Map<string, Wire>, answer: (request: AuditRequest) => AuditAnswer): void {
  const handlers = wires.get(hubPeer)?.handlers
  let asked = 0
  handlers?.set(AUDIT_PROTOCOL, async (frame) => {
    asked += 1
    if (asked > 100) throw new Error('asked without end')
    return encodeAuditAnswer(answer(decodeAuditRequest(frame)))
  })
}

describe('gossip / audit', () => {
  test('neighbours that know the same find that out in two messages', async () => {
    const { hub, edge } = await setUp(MANY)
    expect(await edge.audit(hub)).toMatchObject({ opened: 0, records: 0 })
    expect(requestsOf(edge)).toEqual(['summary'])
    const [summary] = edge.audits.map(({ answer }) => decodeAuditAnswer(answer))
    if (summary?.kind !== 'summary') throw new Error('a summary was asked for')
    expect(summary.buckets.length).toBeGreaterThan(1)
    expect(bytesOf(edge)).toBeLessThan(MANY)
  })

  test('records that the feed passed by are found, stored and counted, and nothing else is sent', async () => {
    const { hub, edge, records } = await setUp(MANY)
    const lost = [records[7], records[700], records[MANY - 1]].flatMap((one) => one ?? [])
    for (const one of lost) await forget(edge, one)
    const outcome = await edge.audit(hub)
    expect(outcome).toMatchObject({ records: 3 })
    const keys = outcome?.keys.map(({ reference }) => reference) ?? []
    expect([...keys].sort()).toEqual(['v1199', 'v7', 'v700'])
    for (const { record, id } of lost) expect(edge.ledger.entry(record)?.history[0]?.id).toBe(id)
    const sent = edge.audits.flatMap(({ answer }) => {
      const decoded = decodeAuditAnswer(answer)
      return decoded.kind === 'entries' ? decoded.entries : []
    })
    expect(sent).toHaveLength(3)
    expect(await edge.audit(hub)).toMatchObject({ opened: 0, records: 0 })
  })

  test('a newer record that was passed by is found, an older one here is not kept', async () => {
    const { hub, edge } = await setUp(10)
    edge.reader.unfollow(hub.self)
    const newer = put(hub, 'v3', 'other')
    await hub.know(newer)
    await edge.index.transact((tx) => {
      const cursor = tx.get(CURSOR, hubPeer)
      if (cursor) tx.put(CURSOR, hubPeer, { ...cursor, number: hub.ledger.head() })
    })
    expect(await edge.audit(hub)).toMatchObject({ records: 1 })
    expect(edge.ledger.entry(newer.record)?.history.map(({ id }) => id)).toEqual([newer.id])
  })

  test('more here than there is no difference, and is looked into once', async () => {
    const { hub, edge } = await setUp(MANY)
    edge.reader.unfollow(hub.self)
    await hub.know(...Array.from({ length: 100 }, (_, at) => put(hub, `only-here-${at}`)))
    // A writer reads its records back: the edge knows fewer of them.
    hub.follow(edge)
    await readAll(hub, edge)
    const first = await hub.audit(edge)
    expect(first).toMatchObject({ records: 0 })
    expect(first?.opened).toBeGreaterThan(0)
    expect(requestsOf(hub)).toContain('hashes')
    hub.audits.length = 0
    expect(await hub.audit(edge)).toMatchObject({ records: 0, opened: 0 })
    expect(requestsOf(hub)).toEqual(['summary'])
  })

  test('news that the feed has still to bring are no difference', async () => {
    const { hub, edge } = await setUp(1_000)
    edge.reader.unfollow(hub.self)
    await hub.know(put(hub, 'news'), put(hub, 'v5', 'moved'))
    expect(await edge.audit(hub)).toMatchObject({ records: 0 })
    expect(edge.ledger.entry({ repository: REPO, reference: ref('news') })).toBeUndefined()
  })

  test('what is parked here is no difference', async () => {
    const { hub, edge } = await setUp(1)
    const nobody = edge.author.put([], {
      repository: REPO,
      reference: ref('parked'),
      digest: digestNamed('parked'),
    })
    await hub.know(nobody)
    await readAll(edge, hub)
    expect(edge.ledger.entry(nobody.record)).toBeUndefined()
    expect(await edge.audit(hub)).toMatchObject({ records: 0 })
  })

  test('a neighbour that was put back to a backup, or shows other things, is not audited before its feed is read', async () => {
    const { topology, hub, edge, wires, clock } = await setUp(5)
    edge.reader.unfollow(hub.self)
    const again = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-2' })
    await again.know(put(again, 'x'))
    expect(await edge.audit(again)).toBeUndefined()
    expect(edge.ledger.entry({ repository: REPO, reference: ref('x') })).toBeUndefined()
  })

  test('keys that are known and not held are looked at again', async () => {
    const { hub, edge } = await setUp(3)
    await edge.index.transact((tx) => {
      const key = { repository: REPO, reference: ref('v1') }
      edge.ledger.hold(tx, key, { digest: digestNamed('v1'), coverage: 'all' })
    })
    await edge.audit(hub)
    expect(edge.unheld).toEqual([`${REPO}\0v0`, `${REPO}\0v2`])
  })

  test('a peer that is not in the topology is told nothing', async () => {
    const { hub, wires } = await setUp(3)
    const own = starTopology(['stranger'], { realm: REALM })
    const stranger = await openGossipNode(own, 'stranger', wires)
    const filter = 'any'
    await stranger.index.transact((tx) =>
      tx.put(CURSOR, hubPeer, { epoch: 'hub-1', number: 3, filter: `${filter}:none` }),
    )
    await expect(stranger.audit(hub)).resolves.toBeUndefined()
    expect(stranger.audits).toEqual([])
  })

  test.each([
    {
      kind: 'summary' as const,
      version: 1 as const,
      buckets: [{ until: 'demo/app\0v0', sum: Buffer.alloc(8) }],
    },
    { kind: 'entries' as const, version: 1 as const, entries: [], through: 'demo/app\0v0' },
  ])('an audit ends where $kind comes that has no end', async (endless) => {
    const { edge, hub, wires } = await setUp(3)
    lie(wires, ({ kind }) => {
      if (kind === endless.kind) return endless
      if (kind === 'hashes') return { version: 1, kind, hashes: Buffer.alloc(8, 7) }
      return { version: 1, kind: 'summary', buckets: [{ sum: Buffer.alloc(8, 1) }] }
    })
    await expect(edge.audit(hub)).rejects.toThrow('in the order of the keys')
  })

  test('scans for audits go one after the other, whatever is asked', async () => {
    const { hub, wires } = await setUp(MANY)
    const handler = wires.get(hubPeer)?.handlers.get(AUDIT_PROTOCOL)
    const cursor = { epoch: 'hub-1', number: hub.ledger.head() }
    const filter = flow(starTopology(['edge'], { realm: REALM }), nodeName('hub'), nodeName('edge'))
    const over: number[] = []
    const page = hub.index.page
    let [atOnce, most] = [0, 0]
    hub.index.page = async (...range) => {
      atOnce += 1
      most = Math.max(most, atOnce)
      try {
        return (await page(...range)) as never
      } finally {
        atOnce -= 1
      }
    }
    const ask = async (kind: 'summary' | 'hashes' | 'entries', at: number) => {
      const position = { ...cursor, filter: filter.hash }
      const common = { version: 1, position, after: '' } as const
      const request: AuditRequest =
        kind === 'entries' ? { ...common, kind, hashes: Buffer.alloc(8, 7) } : { ...common, kind }
      const signal = new AbortController().signal
      await handler?.(encodeAuditRequest(request), { peer: peerIdOfName('edge'), signal })
      over.push(at)
    }
    await Promise.all((['summary', 'hashes', 'entries', 'hashes'] as const).map(ask))
    expect([over, most]).toEqual([[0, 1, 2, 3], 1])
  })
})

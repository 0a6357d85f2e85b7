import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import { tellConflict } from '../../../src/gossip/conflict-news.ts'
import type { Tag } from '../../../src/oci/name.ts'
import { keyText } from '../../../src/record/tag-record.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { KEPT } from '../../../src/storage/index-tables.ts'
import { createFakeClock, START_MS, settle } from '../../helpers/fake-clock.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { starTopology } from '../../helpers/star-topology.ts'
import { digestNamed, identityNamed, REALM, recordBy, ref, repo } from '../../helpers/writers.ts'
import { openGossipNode, type Wire } from './gossip-node.ts'

const KEY = { repository: repo('demo/app'), reference: ref('v1') }
const [FRA, IAD] = [identityNamed('fra'), identityNamed('iad')]
const lost = recordBy(FRA, { ...KEY, digest: digestNamed('lost'), time: timeOfMs(START_MS) })
const won = recordBy(IAD, { ...KEY, digest: digestNamed('won'), time: timeOfMs(START_MS + 5) })

describe('gossip / conflicts', () => {
  test('one line and one event name winner and loser, with writers, digests and times', () => {
    const { logger, lines } = createLogKeeper()
    const events = createEventBus({ logger })
    const happened: MeshEvent[] = []
    events.onAny((event) => happened.push(event))
    tellConflict({ events, logger }, { before: [lost], history: [won, lost] })
    tellConflict({ events, logger }, { before: [won, lost], history: [won, lost] })
    tellConflict({ events, logger }, { before: [won, lost], history: [won] })
    const winner = { writer: IAD.peerId, digest: digestNamed('won'), timeMs: START_MS + 5 }
    const losers = [{ writer: FRA.peerId, digest: digestNamed('lost'), timeMs: START_MS }]
    expect(happened).toEqual([{ kind: 'conflict', key: KEY, winner, losers }])
    expect(lines.map(({ level, fields }) => ({ level, fields }))).toEqual([
      { level: 'warn', fields: { ...KEY, winner, losers } },
    ])
  })

  test('whoever learns of it tells, once; and a feed tells which losers are held', async () => {
    const clock = createFakeClock()
    const topology = starTopology(['edge'], { realm: REALM })
    const wires = new Map<string, Wire>()
    const hub = await openGossipNode(topology, 'hub', wires, { clock, epoch: 'hub-1' })
    const edge = await openGossipNode(topology, 'edge', wires, { clock, epoch: 'edge-1' })
    const [first, second] = ['lost', 'won'].map((name, at) =>
      recordBy(hub.author.identity, {
        ...KEY,
        digest: digestNamed(name),
        time: timeOfMs(START_MS + at),
        // As from a writer that lost its memory: the second does not know of the first.
        seen: new Map(at === 0 ? [[IAD.peerId, timeOfMs(START_MS - 1)]] : []),
      }),
    )
    if (first === undefined || second === undefined) throw new Error('two records')
    await hub.know(first, second)
    await hub.index.transact((tx) => {
      hub.ledger.hold(tx, KEY, {
        digest: second.record.kind === 'put' ? second.record.digest : digestNamed('-'),
        coverage: 'all',
      })
    })
    edge.follow(hub)
    await settle()
    expect(edge.happened.filter(({ kind }) => kind === 'conflict')).toHaveLength(1)
    expect(holdersTold(edge.happened)).toEqual([digestNamed('won')])
    // Its manifest came, and it is served under a tag of its own.
    await hub.index.transact((tx) => {
      tx.put(KEPT, keyText(KEY), [
        { tag: 'v1--hub-T' as Tag, digest: digestNamed('lost'), recordId: first.id },
      ])
      hub.ledger.hold(tx, KEY, { digest: digestNamed('won'), coverage: 'all' })
    })
    await settle()
    expect(holdersTold(edge.happened)).toEqual(['won', 'won', 'lost'].map(digestNamed))
    expect(edge.happened.filter(({ kind }) => kind === 'conflict')).toHaveLength(1)
  })
})

function holdersTold(happened: readonly MeshEvent[]) {
  return happened.flatMap((event) => (event.kind === 'holder-found' ? [event.digest] : []))
}

import { describe, expect, test } from 'vitest'
import { createAdmission } from '../../../src/gossip/admission.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createLogicalClock, type Time, timeOfMs } from '../../../src/record/time.ts'
import type { Topology } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { identityNamed, REALM, recordBy, repo } from '../../helpers/writers.ts'

const FORMER_UNTIL = '2025-12-31T00:00:00Z'
const [HUB, OLD_HUB, EDGE] = ['hub', 'old hub', 'edge'].map(identityNamed)

function topologyOf(): Topology {
  const { topology, findings } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: ${REALM}, generation: 1 }
nodes:
  hub: { peerId: ${HUB?.peerId}, formerPeerIds: [{ peerId: ${OLD_HUB?.peerId}, until: "${FORMER_UNTIL}" }] }
  edge: { peerId: ${EDGE?.peerId} }
origins:
  - { repos: ["edge/**"], writers: edge }
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: [edge], policies: [all] }
`)
  if (topology === undefined) throw new Error(JSON.stringify(findings))
  return topology
}

function setUp() {
  const clock = createFakeClock()
  const logicalClock = createLogicalClock({ clock })
  const admission = createAdmission({ topology: topologyOf(), meshTime: clock, logicalClock })
  return { clock, logicalClock, admission }
}

function by(identity: typeof HUB, fields: Parameters<typeof recordBy>[1] = {}): SignedRecord {
  if (identity === undefined) throw new Error('no such identity')
  return recordBy(identity, fields)
}

describe('gossip / admission', () => {
  test('a record of a writer of its repository is admitted', () => {
    const { admission } = setUp()
    for (const signed of [by(HUB), by(EDGE, { repository: repo('edge/app') })]) {
      expect(admission.check(signed.bytes)).toEqual({ kind: 'admitted', signed })
    }
  })

  test('bytes that are no record are invalid, with the reason', () => {
    const { admission } = setUp()
    const spoilt = Uint8Array.from(by(HUB).bytes)
    spoilt[50] = (spoilt[50] ?? 0) ^ 1
    expect(admission.check(spoilt)).toEqual({
      kind: 'invalid',
      reason: 'signature does not match',
    })
    expect(admission.check(new Uint8Array())).toEqual({ kind: 'invalid', reason: 'too short' })
  })

  test('a record of another realm is invalid, and names its writer', () => {
    const { admission } = setUp()
    expect(admission.check(by(HUB, { realm: 'other' }).bytes)).toEqual({
      kind: 'invalid',
      reason: 'realm other, expected tests',
      writer: HUB?.peerId,
    })
  })

  test('a record of somebody who is no writer here is parked: a newer file may make it one', () => {
    const { admission } = setUp()
    const records = [
      by(EDGE),
      by(HUB, { repository: repo('edge/app') }),
      by(identityNamed('nobody')),
    ]
    for (const signed of records) {
      expect(admission.check(signed.bytes)).toEqual({ kind: 'parked', signed, reason: 'no-writer' })
    }
  })

  test('a record of a replaced key counts up to the end of the key, and no longer', () => {
    const { admission } = setUp()
    const until = Date.parse(FORMER_UNTIL)
    expect(admission.judge(by(OLD_HUB, { time: timeOfMs(until) })).kind).toBe('admitted')
    expect(admission.judge(by(OLD_HUB, { time: timeOfMs(until + 1) }))).toMatchObject({
      kind: 'parked',
      reason: 'no-writer',
    })
  })

  test('a record more than a minute ahead is parked until its time has come', async () => {
    const { admission, clock } = setUp()
    const near = by(HUB, { time: timeOfMs(START_MS + 60_000) })
    const far = by(HUB, { time: timeOfMs(START_MS + 60_001) })
    expect(admission.judge(near).kind).toBe('admitted')
    expect(admission.judge(far)).toMatchObject({ kind: 'parked', reason: 'future' })
    await clock.advance(1)
    expect(admission.judge(far).kind).toBe('admitted')
  })

  test('a writer whose clock was set back goes on from its newest time, and is not parked by who has applied that', () => {
    const { admission, logicalClock } = setUp()
    const applied = timeOfMs(START_MS + 3_600_000)
    const next = by(HUB, { time: (applied + 1) as Time })
    expect(admission.judge(next)).toMatchObject({ kind: 'parked', reason: 'future' })
    logicalClock.observe(applied)
    expect(admission.judge(next).kind).toBe('admitted')
    const further = by(HUB, { time: timeOfMs(START_MS + 3_600_002) })
    expect(admission.judge(further)).toMatchObject({ kind: 'parked', reason: 'future' })
  })

  test('a record from long ago is admitted: neighbours that were away catch up', () => {
    const { admission } = setUp()
    expect(admission.judge(by(HUB, { time: timeOfMs(START_MS - 365 * 86_400_000) })).kind).toBe(
      'admitted',
    )
  })
})

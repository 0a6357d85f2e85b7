import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import type { AuditOutcome } from '../../../src/gossip/audit-reader.ts'
import { createAuditor } from '../../../src/gossip/auditor.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'
import { ref, repo } from '../../helpers/writers.ts'
import { nodeName } from './gossip-node.ts'

const HUB = nodeName('hub')
const EQUAL: AuditOutcome = { keys: [], records: 0, buckets: 3, opened: 0 }
const MINUTE = 60_000

function setUp(outcome: () => AuditOutcome | undefined = () => EQUAL) {
  const clock = createFakeClock()
  const log = createLogKeeper()
  const events = createEventBus({ logger: log.logger })
  const happened: MeshEvent[] = []
  events.onAny((event) => happened.push(event))
  const audits: number[] = []
  const auditor = createAuditor({
    audit: async () => {
      audits.push(clock.now())
      return outcome()
    },
    peerOf: () => peerIdOfName('hub'),
    events,
    clock,
    random: { bytes: (size) => new Uint8Array(size), fraction: () => 0.5 },
    logger: log.logger,
  })
  const read = (epoch: string, through = 5, head = 5) =>
    auditor.onRead(HUB, { epoch, through, head })
  return { clock, log, happened, audits, auditor, read }
}

describe('gossip / auditor', () => {
  test('a neighbour is audited soon after its feed was read to the end, then once an hour', async () => {
    const { clock, audits, auditor, read } = setUp()
    read('one', 3, 5)
    await clock.advance(10 * MINUTE)
    expect(audits).toHaveLength(0)
    read('one')
    await clock.advance(MINUTE)
    expect(audits).toHaveLength(1)
    for (let at = 0; at < 8 * 60; at += 1) {
      read('one')
      await clock.advance(MINUTE)
    }
    expect(audits).toHaveLength(1 + 8)
    await auditor[Symbol.asyncDispose]()
    expect(clock.sleeping()).toBe(0)
  })

  test('a neighbour that started anew is audited soon', async () => {
    const { clock, audits, auditor, read } = setUp()
    read('one')
    await clock.advance(2 * MINUTE)
    read('two')
    await clock.advance(2 * MINUTE)
    expect(audits).toHaveLength(2)
    read('two')
    await clock.advance(10 * MINUTE)
    expect(audits).toHaveLength(2)
    await auditor[Symbol.asyncDispose]()
  })

  test('an audit that fails, or has no position yet, is tried again without a storm', async () => {
    let tries = 0
    const { clock, happened, auditor, read } = setUp(() => {
      tries += 1
      if (tries % 2 === 0) throw new Error('not connected')
      return undefined
    })
    read('one')
    await clock.advance(60 * MINUTE)
    expect(tries).toBeGreaterThan(50)
    expect(tries).toBeLessThan(130)
    expect(happened).toEqual([])
    await auditor[Symbol.asyncDispose]()
  })

  test('a difference is an event and an error', async () => {
    const keys = [{ repository: repo('demo/app'), reference: ref('v1') }]
    const { clock, log, happened, auditor, read } = setUp(() => ({ ...EQUAL, keys, records: 2 }))
    read('one')
    await clock.advance(MINUTE)
    expect(happened).toEqual([{ kind: 'feed-difference', node: HUB, keys, records: 2 }])
    const fields = { neighbour: HUB, records: 2, keys }
    expect(log.lines.filter(({ level }) => level === 'error')).toMatchObject([{ fields }])
    await auditor[Symbol.asyncDispose]()
  })
})

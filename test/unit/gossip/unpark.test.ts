import { expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { unparkInTime } from '../../../src/gossip/unpark.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { identityNamed, recordBy } from '../../helpers/writers.ts'

const FROM_FEED = { via: 'feed', from: 'hub' as NodeName } as const

function setUp(fails = false) {
  const clock = createFakeClock()
  const stop = new AbortController()
  const mesh = { offsetMs: 0, tell: () => {} }
  const due: number[] = []
  const events = createEventBus({ logger: silentLogger })
  const park = (atMs: number) => {
    due.push(START_MS + atMs)
    events.emit({
      kind: 'record-parked',
      signed: recordBy(identityNamed('hub')),
      arrival: FROM_FEED,
    })
  }
  const looks: number[] = []
  const running = unparkInTime(
    {
      receiver: {
        nextDueMs: () => due[0],
        unpark: async () => {
          looks.push(clock.now() - START_MS)
          if (fails) throw new Error('no space left on device')
          due.shift()
        },
      },
      meshTime: {
        now: () => clock.now() + mesh.offsetMs,
        onJump: (listener) => {
          mesh.tell = listener
        },
      },
      events,
      clock,
      logger: silentLogger,
    },
    stop.signal,
  )
  return { clock, stop, mesh, park, looks, running }
}

test('parked records are looked at when they are due, and otherwise the index is left alone', async () => {
  const { clock, park, looks, stop, running } = setUp()
  await clock.advance(600_000)
  expect(looks).toEqual([])
  park(700_000)
  park(700_100)
  await clock.advance(300_000)
  expect(looks).toEqual([700_000, 701_000])
  stop.abort()
  await running
  expect(clock.sleeping()).toBe(0)
})

test('a jump of mesh time is acted on at once', async () => {
  const { clock, park, looks, mesh } = setUp()
  park(3_600_000)
  await clock.advance(5_000)
  mesh.offsetMs = 3_600_000
  mesh.tell()
  await clock.advance(0)
  expect(looks).toEqual([5_000])
})

test('a disk that takes nothing is tried again, once a second at most', async () => {
  const { clock, park, looks } = setUp(true)
  await clock.advance(30_500)
  park(31_000)
  await clock.advance(10_000)
  expect(looks[0]).toBeLessThan(32_000)
  expect(looks).toHaveLength(10)
})

import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { EventOf } from '../../../src/events/mesh-event.ts'
import { FEED_PROTOCOL } from '../../../src/gossip/feed-codec.ts'
import { HELLO_PROTOCOL } from '../../../src/gossip/hello-codec.ts'
import { createPeerLimits, FORGIVEN_MS } from '../../../src/gossip/peer-limits.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'

const HUB = peerIdOfName('hub')

function setUp() {
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  const told: EventOf<'peer-cut-off'>[] = []
  events.on('peer-cut-off', (event) => void told.push(event))
  const cuts: number[] = []
  const complaints: string[] = []
  const limits = createPeerLimits({
    network: { cutOff: async (_peer, ms) => void cuts.push(ms) },
    topology: starTopology(['edge']),
    neighbours: { failed: (_node, reason) => void complaints.push(reason) },
    events,
    clock,
    logger: silentLogger,
  })
  const heard = (count: number) =>
    Array.from({ length: count }, () => limits.hears(HUB)).filter(Boolean).length
  const offend = (count: number) => {
    for (let at = 0; at < count; at += 1) limits.offend(HUB, 'signature does not match')
  }
  return { clock, told, cuts, complaints, limits, heard, offend }
}

describe('gossip / peer limits', () => {
  test('a thousand tags at once are heard, ten times over, and so is what an honest node sends on and on', async () => {
    const { clock, heard, cuts } = setUp()
    expect(heard(10_000)).toBe(10_000)
    await clock.advance(5_000)
    for (let second = 0; second < 600; second += 1) {
      expect(heard(2_000)).toBe(2_000)
      await clock.advance(1_000)
    }
    expect(cuts).toEqual([])
  })

  test('more is left to the feed, unread, and does no harm when it ends', async () => {
    const { clock, heard, cuts } = setUp()
    expect(heard(25_000)).toBe(10_000)
    await clock.advance(20_000)
    expect(heard(25_000)).toBe(10_000)
    expect(cuts).toEqual([])
  })

  test('a flood is cut off, each time for twice as long up to an hour, and told once', async () => {
    const { clock, heard, cuts, told, complaints } = setUp()
    for (let round = 0; round < 8; round += 1) {
      heard(100_000)
      await clock.advance(cuts.at(-1) ?? 0)
    }
    expect(cuts).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((minutes) => minutes * 60_000))
    expect(told).toMatchObject([{ node: 'hub', cutOffMs: 60_000 }])
    expect(complaints[0]).toContain('cut off for 60 s: more than 3000 announcements a second')
  })

  test('some invalid records are borne, many are not', async () => {
    const { clock, cuts, told, offend } = setUp()
    offend(20)
    for (let minute = 0; minute < 100; minute += 1) {
      await clock.advance(60_000)
      offend(1)
    }
    expect(cuts).toEqual([])
    offend(5)
    expect(cuts).toEqual([60_000])
    expect(told[0]?.reason).toContain('signature does not match')
  })

  test('who was quiet for long begins anew, and is told of again', async () => {
    const { clock, cuts, told, offend } = setUp()
    offend(30)
    await clock.advance(60_000)
    offend(30)
    await clock.advance(120_000 + FORGIVEN_MS + 1)
    offend(30)
    expect(cuts).toEqual([60_000, 120_000, 60_000])
    expect(told).toHaveLength(2)
  })

  test('a clock that is set back forgets nothing and keeps nobody out', async () => {
    const { clock, cuts, offend } = setUp()
    offend(30)
    clock.jump(-7_200_000)
    offend(30)
    expect(cuts).toEqual([60_000, 120_000])
  })

  test('questions beyond the rate wait for their turn, those of other protocols do not wait for them', async () => {
    const { clock, limits, cuts } = setUp()
    const { signal } = new AbortController()
    let answered = 0
    for (let at = 0; at < 300; at += 1) {
      void limits.turn(HUB, FEED_PROTOCOL, signal).then(() => {
        answered += 1
      })
    }
    await clock.advance(0)
    expect(answered).toBe(200)
    await limits.turn(HUB, HELLO_PROTOCOL, signal)
    await clock.advance(1_000)
    expect(answered).toBe(250)
    await clock.advance(1_000)
    expect(answered).toBe(300)
    for (let at = 0; at < 20; at += 1) await limits.turn(HUB, HELLO_PROTOCOL, signal)
    const gone = new AbortController()
    const late = limits.turn(HUB, HELLO_PROTOCOL, gone.signal)
    gone.abort()
    await expect(late).rejects.toThrow()
    expect([clock.sleeping(), cuts]).toEqual([0, []])
  })

  test('a catch-up of a month, page after page as fast as they are stored, never waits', async () => {
    const { clock, limits } = setUp()
    const { signal } = new AbortController()
    for (let page = 0; page < 5_000; page += 1) {
      let isAnswered = false
      void limits.turn(HUB, FEED_PROTOCOL, signal).then(() => {
        isAnswered = true
      })
      await Promise.resolve()
      await Promise.resolve()
      expect(isAnswered).toBe(true)
      clock.jump(20)
    }
  })
})

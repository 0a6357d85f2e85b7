import { describe, expect, test } from 'vitest'
import type { PairLimit } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createSendingPacers, whenItMayGo } from '../../../src/transfer/paced-body.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

const [EDGE, HUB, OTHER] = ['edge', 'hub', 'other'] as NodeName[]
/** Bytes: what a socket gives at once. */
const CHUNK = 65_536

function steady(bits: number): PairLimit {
  const never = () => Number.POSITIVE_INFINITY
  return { at: () => bits, changesAt: never, opensAt: (ms) => ms }
}

function setUp(mbit: number) {
  const clock = createFakeClock()
  const asked: NodeName[] = []
  const pacerTo = createSendingPacers({
    self: EDGE as NodeName,
    limitTo: (node) => {
      asked.push(node)
      return node === HUB ? steady(mbit * 1_000_000) : undefined
    },
    clock,
  })
  const pacer = pacerTo(HUB as NodeName)
  if (pacer === undefined) throw new Error('the link to hub has a limit')
  return { clock, asked, pacer, pacerTo }
}

describe('transfer / paced body', () => {
  for (const mbit of [0.1, 1, 8, 400]) {
    test(`three bodies go at ${mbit} Mbit a second together, in ten seconds within 10 %`, async () => {
      const { clock, pacer } = setUp(mbit)
      const stop = new AbortController()
      const sent = [0, 0, 0]
      const send = async (at: number) => {
        const turn = { isSmall: false, signal: stop.signal }
        for (;;) {
          for await (const part of whenItMayGo(new Uint8Array(CHUNK), pacer, turn))
            sent[at] = (sent[at] ?? 0) + part.length
        }
      }
      const ends = sent.map((_, at) => send(at).catch((err: unknown) => err))
      const seconds = 10
      await clock.advance(seconds * 1_000)
      const all = sent.reduce((sum, bytes) => sum + bytes, 0)
      const expected = (mbit * 1_000_000 * seconds) / 8
      expect(all / expected).toBeGreaterThan(0.9)
      expect(all / expected).toBeLessThan(1.1)
      expect(Math.min(...sent) / Math.max(...sent)).toBeGreaterThan(0.8)
      stop.abort(new Error('enough'))
      expect(await Promise.all(ends)).toEqual(Array(3).fill(new Error('enough')))
      expect(clock.sleeping()).toBe(0)
    })
  }

  test('all bytes go, in their order', async () => {
    const { clock, pacer } = setUp(0.1)
    const bytes = Uint8Array.from({ length: 40_000 }, (_, at) => at)
    const parts: Uint8Array[] = []
    const sending = (async () => {
      const turn = { isSmall: false, signal: new AbortController().signal }
      for await (const part of whenItMayGo(bytes, pacer, turn)) parts.push(part)
    })()
    await clock.advance(10_000)
    await sending
    expect(parts.length).toBeGreaterThan(1)
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  })

  test('all that goes to one node has one pacer, and none where nothing limits it', () => {
    const { asked, pacer, pacerTo } = setUp(1)
    expect(pacerTo(HUB as NodeName)).toBe(pacer)
    expect(pacerTo(OTHER as NodeName)).toBeUndefined()
    expect(pacerTo(OTHER as NodeName)).toBeUndefined()
    expect(asked).toEqual([HUB, OTHER])
  })
})

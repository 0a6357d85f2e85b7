import { describe, expect, test } from 'vitest'
import type { PairLimit } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createPacer, LinkClosedError, type Pacer } from '../../../src/transfer/pacer.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'

const MBIT = 1_000_000
const HUB = 'hub' as NodeName
/** Rates by the second since the start at which they begin; undefined: no limit. */
type Hours = readonly (readonly [second: number, bits: number | undefined])[]

function limitOf(hours: Hours): PairLimit {
  const inForce = (ms: number) => hours.findLast(([second]) => START_MS + second * 1_000 <= ms)
  const changesAt = (ms: number) =>
    hours.map(([second]) => START_MS + second * 1_000).find((edge) => edge > ms) ??
    Number.POSITIVE_INFINITY
  const opensAt = (ms: number): number =>
    ms === Number.POSITIVE_INFINITY || inForce(ms)?.[1] !== 0 ? ms : opensAt(changesAt(ms))
  return { at: (ms) => inForce(ms)?.[1], changesAt, opensAt }
}

function setUp(hours: Hours) {
  const clock = createFakeClock()
  const pacer = createPacer({ from: HUB, limit: limitOf(hours), clock })
  const stop = new AbortController()
  const bytes = { small: 0, large: 0 }
  /** Takes piece after piece until it is stopped. */
  const transfer = async (kind: 'small' | 'large' = 'large') => {
    const turn = { isSmall: kind === 'small', signal: stop.signal }
    for (;;) {
      const piece = await pacer.take(kind === 'small' ? 20_000 : 100 * MBIT, turn)
      bytes[kind] += piece
      pacer.arrived(piece)
    }
  }
  const begin = (count: number, kind: 'small' | 'large' = 'large') => {
    for (let at = 0; at < count; at += 1) transfer(kind).catch(() => {})
  }
  return { clock, pacer, stop, bytes, begin }
}

const signal = new AbortController().signal
const small = { isSmall: true, signal }
const large = { isSmall: false, signal }

/** Empties the bucket, so that whoever comes next has to wait. */
async function drain(pacer: Pacer, bytes: number) {
  await pacer.take(bytes, small)
}

describe('transfer / pacer', () => {
  for (const count of [1, 3, 20]) {
    for (const mbit of [0.1, 1, 8, 400]) {
      test(`${count} transfers at once get ${mbit} Mbit a second together, in ten seconds within 8 %`, async () => {
        const { clock, bytes, begin } = setUp([[0, mbit * MBIT]])
        begin(count)
        const perSecond = (mbit * MBIT) / 8
        await clock.advance(10_000)
        const first = bytes.large
        expect(first / (10 * perSecond)).toBeGreaterThan(0.95)
        expect(first / (10 * perSecond)).toBeLessThan(1.08)
        await clock.advance(10_000)
        expect((bytes.large - first) / (10 * perSecond)).toBeGreaterThan(0.93)
        expect((bytes.large - first) / (10 * perSecond)).toBeLessThan(1.07)
      })
    }
  }

  test('a change of the calendar counts from its moment on, also for who waits', async () => {
    const hours: Hours = [
      [0, 8 * MBIT],
      [10, 1 * MBIT],
      [20, 16 * MBIT],
    ]
    const { clock, bytes, begin } = setUp(hours)
    begin(3)
    // A moment before each change.
    await clock.advance(9_999)
    const first = bytes.large
    const during = async (seconds: number) => {
      const before = bytes.large
      await clock.advance(seconds * 1_000)
      return bytes.large - before
    }
    expect(first / 10_000_000).toBeCloseTo(1, 1)
    expect((await during(10)) / 1_250_000).toBeCloseTo(1, 1)
    expect((await during(10)) / 20_000_000).toBeCloseTo(1, 1)
  })

  test('what was free becomes slow at the moment at which a limit begins', async () => {
    const { clock, pacer, bytes, begin } = setUp([
      [0, undefined],
      [5, 1 * MBIT],
    ])
    for (let at = 0; at < 1_000; at += 1) pacer.arrived(await pacer.take(65_536, large))
    expect(clock.sleeping()).toBe(0)
    await clock.advance(5_000)
    begin(2)
    await clock.advance(10_000)
    expect(bytes.large / 1_250_000).toBeCloseTo(1, 1)
  })

  test('small content waits for the piece under way and for no large one that came before', async () => {
    const { clock, pacer } = setUp([[0, 1 * MBIT]])
    await drain(pacer, 50_000)
    const order: string[] = []
    const take = (name: string, turn: typeof small) =>
      pacer.take(31_250, turn).then(() => order.push(name))
    for (const name of ['large 1', 'large 2', 'large 3']) void take(name, large)
    await clock.advance(100)
    for (const name of ['small 1', 'small 2']) void take(name, small)
    expect(order).toEqual([])
    await clock.advance(2_000)
    expect(order).toEqual(['small 1', 'small 2', 'large 1', 'large 2', 'large 3'])
  })

  test('large content gets a fifth while small content comes without end', async () => {
    const { clock, bytes, begin } = setUp([[0, 8 * MBIT]])
    begin(4, 'small')
    begin(4)
    await clock.advance(10_000)
    expect(bytes.large / (bytes.large + bytes.small)).toBeCloseTo(0.2, 1)
    expect((bytes.large + bytes.small) / 10_000_000).toBeCloseTo(1, 1)
  })

  test('a large transfer gets pieces of 250 ms, within bounds; a small one gets all at once', async () => {
    const piece = (bits: number | undefined) => setUp([[0, bits]]).pacer.take(100 * MBIT, large)
    expect(await piece(1 * MBIT)).toBe(31_250)
    expect(await piece(1_000)).toBe(8_192)
    expect(await piece(1_000 * MBIT)).toBe(4_194_304)
    expect(await piece(undefined)).toBe(4_194_304)
    const { pacer } = setUp([[0, 1 * MBIT]])
    expect(await pacer.take(5_000, large)).toBe(5_000)
    expect(await setUp([[0, 1 * MBIT]]).pacer.take(1_000_000, small)).toBe(1_000_000)
  })

  test('a piece is no larger than what may come before the rate changes', async () => {
    const { clock, pacer } = setUp([
      [0, 80 * MBIT],
      [1, 1 * MBIT],
    ])
    await clock.advance(900)
    expect(await pacer.take(100 * MBIT, large)).toBe(1_000_000)
  })

  test('what was asked for while there was no limit counts when one begins, as far as it has not come', async () => {
    const { clock, pacer } = setUp([
      [0, undefined],
      [5, 1 * MBIT],
    ])
    for (let at = 0; at < 10; at += 1) await pacer.take(100_000, large)
    pacer.arrived(750_000)
    pacer.giveBack(125_000)
    await clock.advance(5_000)
    let isTaken = false
    void pacer.take(1, large).then(() => {
      isTaken = true
    })
    await clock.advance(899)
    expect(isTaken).toBe(false)
    await clock.advance(101)
    expect(isTaken).toBe(true)
  })

  test('what was not sent is given back', async () => {
    const { clock, pacer } = setUp([[0, 1 * MBIT]])
    await drain(pacer, 1_000_000)
    pacer.giveBack(1_000_000)
    await pacer.take(1, large)
    expect(clock.sleeping()).toBe(0)
  })

  test('at rate 0 whoever waits is told until when, and nobody may ask', async () => {
    const { clock, pacer } = setUp([
      [0, 1 * MBIT],
      [1, 0],
      [60, 8 * MBIT],
    ])
    expect(pacer.closure()).toBeUndefined()
    await drain(pacer, 500_000)
    const waiting = Promise.allSettled([pacer.take(1, small), pacer.take(1, large)])
    await clock.advance(1_000)
    const untilMs = START_MS + 60_000
    for (const one of await waiting) {
      expect(one.status === 'rejected' && (one.reason as LinkClosedError).untilMs).toBe(untilMs)
    }
    expect(pacer.closure()?.message).toBe(
      'link from hub is closed until 2026-01-01T00:01:00.000Z: its bandwidth in the topology is 0',
    )
    expect(clock.sleeping()).toBe(0)
    await clock.advance(59_000)
    expect(pacer.closure()).toBeUndefined()
    const [taken] = await Promise.all([pacer.take(1, large), clock.advance(1_000)])
    expect(taken).toBe(1)
  })

  test('a link that never opens says so', async () => {
    const { pacer } = setUp([[0, 0]])
    await expect(pacer.take(1, large)).rejects.toBeInstanceOf(LinkClosedError)
    expect(pacer.closure()?.message).toMatch(/closed at all times/)
  })

  test('who is aborted while it waits takes nothing, and leaves no timer', async () => {
    const { clock, pacer } = setUp([[0, 1 * MBIT]])
    await drain(pacer, 125_000)
    const stop = new AbortController()
    const aborted = pacer.take(125_000, { isSmall: false, signal: stop.signal })
    const also = pacer.take(125_000, { isSmall: true, signal: stop.signal })
    await clock.advance(10)
    expect(clock.sleeping()).toBe(1)
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await expect(also).rejects.toThrow('enough')
    await clock.advance(0)
    expect(clock.sleeping()).toBe(0)
    await expect(pacer.take(1, { isSmall: false, signal: stop.signal })).rejects.toThrow('enough')
    // The debt of the first second is all that is left.
    await clock.advance(990)
    let isTaken = false
    void pacer.take(1, large).then(() => {
      isTaken = true
    })
    await clock.advance(0)
    expect(isTaken).toBe(true)
  })

  test('a wall clock that jumps gives no more than the burst, and stops nothing', async () => {
    const { clock, bytes, begin } = setUp([[-86_400, 1 * MBIT]])
    begin(1)
    await clock.advance(1_000)
    clock.jump(-3_600_000)
    await clock.advance(5_000)
    clock.jump(7_200_000)
    await clock.advance(4_000)
    expect(bytes.large / 1_250_000).toBeCloseTo(1, 1)
  })
})

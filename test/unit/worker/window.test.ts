import { describe, expect, test } from 'vitest'
import { createSchedule, type Schedule } from '../../../src/topology/schedule.ts'
import { createWindow } from '../../../src/worker/window.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'

const HOUR_MS = 3_600_000
const MIDNIGHT_MS = Date.UTC(2026, 0, 1)
const at = (hour: number, hours: number, tz = 'UTC') =>
  createSchedule({ cron: `0 ${hour} * * *`, window: hours * HOUR_MS, tz })

function setUp(hour: number, windows: readonly Schedule[] | undefined, timeZone = 'UTC') {
  const clock = createFakeClock(MIDNIGHT_MS + hour * HOUR_MS)
  const asked = { windows }
  return { clock, asked, window: createWindow({ clock, timeZone }, () => asked.windows) }
}

describe('worker / window', () => {
  test('without a window it is always open, and no timer runs', () => {
    const { window, clock } = setUp(3, undefined)
    using watch = window.watch()
    expect(window.now()).toEqual({ isOpen: true, untilMs: Number.POSITIVE_INFINITY })
    expect([watch.signal.aborted, clock.sleeping()]).toEqual([false, 0])
  })

  test('of several windows any open one counts, and the one that opens first', () => {
    const both = [at(1, 2), at(2, 3)]
    expect(setUp(2, both).window.now()).toEqual({
      isOpen: true,
      untilMs: MIDNIGHT_MS + 5 * HOUR_MS,
    })
    expect(setUp(6, both).window.now()).toEqual({
      isOpen: false,
      opensMs: MIDNIGHT_MS + 25 * HOUR_MS,
    })
  })

  test('a window in the time of the site opens there', () => {
    const open = [at(1, 1, 'site')]
    expect(setUp(0, open, 'Europe/Berlin').window.now().isOpen).toBe(true)
    expect(setUp(0, open, 'UTC').window.now().isOpen).toBe(false)
  })

  test('the watch ends when the window closes, also when the clock is set beyond its end', async () => {
    const { window, clock } = setUp(1, [at(1, 2)])
    using watch = window.watch()
    await clock.advance(2 * HOUR_MS - 1)
    expect(watch.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(watch.signal.aborted).toBe(true)
    const set = setUp(1, [at(1, 2)])
    using other = set.window.watch()
    set.clock.jump(5 * HOUR_MS)
    await set.clock.advance(60_000)
    expect(other.signal.aborted).toBe(true)
  })

  test('what begins before the window stops at its end, not before', async () => {
    const { window, clock } = setUp(0, [at(1, 1)])
    using watch = window.watch()
    await clock.advance(2 * HOUR_MS - 1)
    expect(watch.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(watch.signal.aborted).toBe(true)
  })

  test('a reference that may come at once, and joins, keeps it open; a watch that is over holds no timer', async () => {
    const { window, clock, asked } = setUp(1, [at(1, 2)])
    const watch = window.watch()
    asked.windows = undefined
    await clock.advance(6 * HOUR_MS)
    expect(watch.signal.aborted).toBe(false)
    watch[Symbol.dispose]()
    await settle()
    expect(clock.sleeping()).toBe(0)
  })
})

import { describe, expect, test } from 'vitest'
import { rhythmOf } from '../../../src/topology/rhythm.ts'
import { createSchedule } from '../../../src/topology/schedule.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const BERLIN = 'Europe/Berlin'

/** The same by asking the schedule from window to window. */
function walked(cron: string, window: number, tz: string): { waitMs: number; windowMs: number } {
  const schedule = createSchedule({ cron, window, tz })
  let [waitMs, windowMs] = [0, Number.POSITIVE_INFINITY]
  let isBegun = false
  for (let at = Date.UTC(2028, 0, 1); at < Date.UTC(2029, 0, 1); ) {
    const state = schedule.at(at, tz)
    if (state.isOpen && isBegun) windowMs = Math.min(windowMs, state.untilMs - at)
    if (!state.isOpen && isBegun) waitMs = Math.max(waitMs, state.opensMs - at)
    isBegun = true
    at = state.isOpen ? state.untilMs : state.opensMs
  }
  return { waitMs, windowMs }
}

describe('topology / rhythm', () => {
  test.each([
    ['0 1 * * *', 4 * HOUR, 'UTC', 20 * HOUR, 4 * HOUR],
    ['0 1 * * 1-5', 4 * HOUR, 'UTC', 68 * HOUR, 4 * HOUR],
    ['0 1 * * 1-5', 4 * HOUR, BERLIN, 69 * HOUR, 4 * HOUR],
    ['0 1,2 * * *', HOUR, 'UTC', 22 * HOUR, 2 * HOUR],
    ['*/15 8-17 * * *', 5 * MINUTE, 'UTC', 14 * HOUR + 10 * MINUTE, 5 * MINUTE],
    ['* * * * *', 20_000, BERLIN, 40_000, 20_000],
    ['* * * * *', MINUTE, BERLIN, 0, MINUTE],
    ['0 0 29 2 *', DAY, 'UTC', 4 * 365 * DAY, DAY],
    ['0 0 30 2 *', DAY, 'UTC', Number.POSITIVE_INFINITY, DAY],
  ])('of %s for %i ms in %s', (cron, window, zone, waitMs, windowMs) => {
    expect(rhythmOf(cron, window, zone)).toEqual({ waitMs, windowMs })
  })

  test.each([
    ['*/30 1-3 24-31 3,10 *', 10 * MINUTE, BERLIN],
    ['30 2 * * *', HOUR, BERLIN],
    ['15 0,23 * * *', 2 * HOUR, 'America/New_York'],
    ['0 3 1 * 1', 30 * HOUR, 'Australia/Lord_Howe'],
  ])(
    'it is what the schedule does from window to window: %s for %i ms in %s',
    (...[cron, window, zone]) => {
      expect(rhythmOf(cron, window, zone)).toEqual(walked(cron, window, zone))
    },
  )
})

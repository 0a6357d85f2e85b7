import { describe, expect, test } from 'vitest'
import { createSchedule, cronProblem, timeZoneProblem } from '../../../src/topology/schedule.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const BERLIN = 'Europe/Berlin'
const at = (time: string) => Date.parse(time)
const night = (tz: string, window = 4 * HOUR) => createSchedule({ cron: '0 1 * * *', window, tz })

describe('topology / schedule', () => {
  test('a window is open from its first moment, and closed at its end', () => {
    const schedule = night('UTC')
    const [begin, end] = [at('2026-01-05T01:00Z'), at('2026-01-05T05:00Z')]
    expect(schedule.at(begin - 1, 'UTC')).toEqual({ isOpen: false, opensMs: begin })
    expect(schedule.at(begin, 'UTC')).toEqual({ isOpen: true, untilMs: end })
    expect(schedule.at(begin + 1, 'UTC')).toEqual({ isOpen: true, untilMs: end })
    expect(schedule.at(end - 1, 'UTC')).toEqual({ isOpen: true, untilMs: end })
    expect(schedule.at(end, 'UTC')).toEqual({ isOpen: false, opensMs: begin + DAY })
  })

  test('tz: site is the time zone of the receiver, another one is the same everywhere', () => {
    const moment = at('2026-01-05T00:30Z')
    expect(night('site').at(moment, BERLIN).isOpen).toBe(true)
    expect(night('site').at(moment, 'UTC').isOpen).toBe(false)
    expect(night('site').at(moment, 'America/New_York')).toEqual({
      isOpen: false,
      opensMs: at('2026-01-05T06:00Z'),
    })
    expect(night(BERLIN).at(moment, 'America/New_York').isOpen).toBe(true)
  })

  test('a window may be longer than a day', () => {
    const weekend = createSchedule({ cron: '0 20 * * 5', window: 58 * HOUR, tz: 'UTC' })
    expect(weekend.at(at('2026-01-12T05:59Z'), 'UTC')).toEqual({
      isOpen: true,
      untilMs: at('2026-01-12T06:00Z'),
    })
    expect(weekend.at(at('2026-01-12T06:00Z'), 'UTC')).toEqual({
      isOpen: false,
      opensMs: at('2026-01-16T20:00Z'),
    })
  })

  test('a window lasts as long as it says, also in the night in which the clocks are changed', () => {
    // Put forward at 01:00Z of 2026-03-29, back at 01:00Z of 2026-10-25.
    expect(night(BERLIN).at(at('2026-03-29T00:00Z'), 'UTC')).toEqual({
      isOpen: true,
      untilMs: at('2026-03-29T04:00Z'),
    })
    expect(night(BERLIN).at(at('2026-10-24T23:00Z'), 'UTC')).toEqual({
      isOpen: true,
      untilMs: at('2026-10-25T03:00Z'),
    })
    expect(night(BERLIN).at(at('2026-10-25T03:00Z'), 'UTC')).toEqual({
      isOpen: false,
      opensMs: at('2026-10-26T00:00Z'),
    })
  })

  test('a window that begins in the hour that is skipped opens that night all the same', () => {
    const schedule = createSchedule({ cron: '30 2 * * *', window: HOUR, tz: BERLIN })
    const state = schedule.at(at('2026-03-29T00:00Z'), 'UTC')
    expect(state.isOpen).toBe(false)
    if (state.isOpen) return
    expect(state.opensMs).toBeGreaterThanOrEqual(at('2026-03-29T01:00Z'))
    expect(state.opensMs).toBeLessThanOrEqual(at('2026-03-29T01:30Z'))
    expect(schedule.at(state.opensMs, 'UTC')).toEqual({
      isOpen: true,
      untilMs: state.opensMs + HOUR,
    })
  })

  test('a window that begins in the hour that comes twice opens once', () => {
    const schedule = createSchedule({ cron: '30 2 * * *', window: 600_000, tz: BERLIN })
    const opened: number[] = []
    for (let ms = at('2026-10-24T22:00Z'); ms < at('2026-10-25T12:00Z'); ms += 60_000) {
      const state = schedule.at(ms, 'UTC')
      if (state.isOpen) opened.push(state.untilMs)
    }
    expect(new Set(opened).size).toBe(1)
  })

  test('windows that follow without a gap are one, and the order of the questions changes nothing', () => {
    const schedule = createSchedule({ cron: '0 8,10,20 * * *', window: 2 * HOUR, tz: 'UTC' })
    const [early, late] = [at('2026-01-05T08:30Z'), at('2026-01-05T21:00Z')]
    const expected = { isOpen: true, untilMs: at('2026-01-05T12:00Z') }
    expect(schedule.at(late, 'UTC')).toEqual({ isOpen: true, untilMs: at('2026-01-05T22:00Z') })
    expect(schedule.at(early, 'UTC')).toEqual(expected)
    expect(schedule.at(at('2026-01-05T11:00Z'), 'UTC')).toEqual(expected)
    expect(schedule.at(at('2026-01-05T12:00Z'), 'UTC')).toEqual({
      isOpen: false,
      opensMs: at('2026-01-05T20:00Z'),
    })
    const always = createSchedule({ cron: '*/10 * * * *', window: HOUR, tz: 'UTC' })
    const state = always.at(early, 'UTC')
    expect(state.isOpen && state.untilMs > early + 2 * HOUR).toBe(true)
    expect(state.isOpen && always.at(state.untilMs, 'UTC').isOpen).toBe(true)
  })

  test('a day that never comes never opens', () => {
    const never = createSchedule({ cron: '0 1 30 2 *', window: HOUR, tz: 'UTC' })
    expect(never.at(at('2026-01-05T00:00Z'), 'UTC')).toEqual({
      isOpen: false,
      opensMs: Number.POSITIVE_INFINITY,
    })
  })

  test.each(['', '* * * *', '* * * * * *', '60 1 * * *', '0 24 * * *', 'a b c d e', '@daily'])(
    '"%s" is no cron expression',
    (text) => {
      expect(cronProblem(text)).toMatch(/^expected a cron expression/)
    },
  )

  test('a time zone is an IANA name', () => {
    expect(
      ['UTC', BERLIN, 'America/New_York'].flatMap((zone) => timeZoneProblem(zone) ?? []),
    ).toEqual([])
    expect(timeZoneProblem('Berlin')).toBe('expected a time zone such as Europe/Berlin or UTC')
    expect(timeZoneProblem('')).toBe('expected a time zone such as Europe/Berlin or UTC')
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarProblem, createCalendar } from '../../../src/topology/calendar.ts'

const BERLIN = 'Europe/Berlin'
const at = (time: string) => Date.parse(time)
const MINUTE = 60_000

describe('topology / calendar', () => {
  test.each([
    {
      text: 'Mon-Fri 08:00-18:00',
      yes: ['2026-01-05T08:00', '2026-01-09T17:59'],
      no: ['2026-01-05T07:59', '2026-01-05T18:00', '2026-01-10T12:00'],
    },
    {
      text: 'Sat,Sun',
      yes: ['2026-01-10T00:00', '2026-01-11T23:59'],
      no: ['2026-01-09T23:59', '2026-01-12T00:00'],
    },
    {
      text: '22:00-06:00',
      yes: ['2026-01-05T22:00', '2026-01-06T05:59'],
      no: ['2026-01-05T21:59', '2026-01-06T06:00'],
    },
    {
      text: 'Fri 22:00-06:00',
      yes: ['2026-01-09T23:00', '2026-01-10T05:59'],
      no: ['2026-01-09T05:00', '2026-01-10T22:00'],
    },
    {
      text: 'Sat-Mon',
      yes: ['2026-01-10T12:00', '2026-01-12T12:00'],
      no: ['2026-01-09T12:00', '2026-01-13T12:00'],
    },
    { text: '08:00-24:00', yes: ['2026-01-05T23:59'], no: ['2026-01-05T00:00'] },
    { text: 'Sun 22:00-06:00', yes: ['2026-01-12T03:00'], no: ['2026-01-11T03:00'] },
  ])('$text holds at $yes and not at $no', ({ text, yes, no }) => {
    const calendar = createCalendar(text)
    const holds = (time: string) => calendar.holds(at(`${time}Z`), 'UTC')
    expect(yes.filter(holds)).toEqual(yes)
    expect(no.filter(holds)).toEqual([])
  })

  test.each([
    '',
    'Mo',
    'mon',
    'Mon-',
    'Mon 8:00-18:00',
    '25:00-26:00',
    '08:60-09:00',
    '08:00-08:00',
    'Mon-Tue-Wed',
    'Mon  08:00-18:00',
    '08:00-24:01',
  ])('"%s" is no calendar', (text) => {
    expect(calendarProblem(text)).toMatch(/^expected days, hours, or both/)
    expect(() => createCalendar(text)).toThrow('expected days, hours, or both')
  })

  test('hours are those of the time zone', () => {
    const office = createCalendar('Mon-Fri 08:00-18:00')
    expect(office.holds(at('2026-01-05T07:00Z'), BERLIN)).toBe(true)
    expect(office.holds(at('2026-01-05T07:00Z'), 'UTC')).toBe(false)
    expect(office.holds(at('2026-01-05T13:00Z'), 'America/New_York')).toBe(true)
    expect(office.changesAt(at('2026-01-05T07:30Z'), BERLIN)).toBe(at('2026-01-05T17:00Z'))
  })

  test('when the clocks are put forward an hour is skipped, and who begins in it begins after it', () => {
    // 2026-03-29: 01:59 CET is followed by 03:00 CEST.
    const calendar = createCalendar('Sun 02:30-04:00')
    const change = at('2026-03-29T01:00Z')
    expect(calendar.holds(change - MINUTE, BERLIN)).toBe(false)
    expect(calendar.holds(change, BERLIN)).toBe(true)
    expect(calendar.changesAt(change - MINUTE, BERLIN)).toBe(change)
    expect(calendar.holds(at('2026-03-29T01:59Z'), BERLIN)).toBe(true)
    expect(calendar.holds(at('2026-03-29T02:00Z'), BERLIN)).toBe(false)
  })

  test('when the clocks are put back an hour comes twice, and so does what holds in it', () => {
    // 2026-10-25: 02:59 CEST is followed by 02:00 CET.
    const calendar = createCalendar('Sun 02:30-03:30')
    const moments: string[] = []
    let holds = false
    for (let ms = at('2026-10-25T00:00Z'); ms < at('2026-10-25T03:00Z'); ) {
      if (calendar.holds(ms, BERLIN) !== holds)
        moments.push(new Date(ms).toISOString().slice(11, 16))
      holds = calendar.holds(ms, BERLIN)
      ms = calendar.changesAt(ms, BERLIN)
    }
    expect(moments).toEqual(['00:30', '01:00', '01:30', '02:30'])
  })

  test('a night that the clocks are changed in lasts until its hour', () => {
    const night = createCalendar('22:00-06:00')
    for (const [evening, end] of [
      ['2026-03-28T21:00Z', '2026-03-29T04:00Z'],
      ['2026-10-24T20:00Z', '2026-10-25T05:00Z'],
    ] as const) {
      expect(night.holds(at(evening), BERLIN)).toBe(true)
      expect(night.holds(at(end) - 1, BERLIN)).toBe(true)
      expect(night.holds(at(end), BERLIN)).toBe(false)
    }
  })

  test('between a moment and the next one that it names nothing changes', () => {
    const texts = [
      'Mon-Fri 08:00-18:00',
      'Sun 02:30-03:30',
      '22:00-06:00',
      'Sat,Sun',
      '02:15-02:45',
    ]
    const zones = ['UTC', BERLIN, 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata']
    const around = fc.constantFrom(
      '2026-03-29',
      '2026-10-25',
      '2026-04-05',
      '2026-11-01',
      '2026-06-15',
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.constantFrom(...zones),
        around,
        fc.integer({ min: -1_440, max: 1_440 }),
        (text, zone, day, offset) => {
          const calendar = createCalendar(text)
          const from = at(`${day}T00:00Z`) + offset * MINUTE
          const until = calendar.changesAt(from, zone)
          expect(until).toBeGreaterThan(from)
          const holds = calendar.holds(from, zone)
          for (let ms = from; ms < until; ms += 5 * MINUTE) {
            expect(calendar.holds(ms, zone)).toBe(holds)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

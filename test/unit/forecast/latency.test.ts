import { describe, expect, test } from 'vitest'
import { delayOf } from '../../../src/forecast/latency.ts'
import { unite } from '../../../src/topology/demand.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** The delay of a node whose links bring it these policies. */
function delay(policies: Readonly<Record<string, object>>, timeZone = 'UTC'): number | undefined {
  const topology = topologyWith({
    policies: JSON.stringify(policies),
    links: JSON.stringify([
      { shape: 'star', center: 'a', leaves: 'b', policies: Object.keys(policies) },
    ]),
  })
  return delayOf(unite([...topology.policies.values()]), timeZone)
}

const match = { repos: ['**'] }
const scheduled = (cron: string, window: string, more: object = {}, tz = 'UTC') => ({
  match,
  mode: 'scheduled',
  schedule: { cron, window, tz },
  ...more,
})

describe('forecast / latency', () => {
  test('an eager policy promises its objective, and nothing without one', () => {
    expect(delay({ p: { match, mode: 'eager', slo: { lag: '5m' } } })).toBe(5 * MINUTE_MS)
    expect(delay({ p: { match, mode: 'eager' } })).toBeUndefined()
  })

  test('of several eager policies the shortest objective holds, of a lazy one none', () => {
    const eager = (lag: string) => ({ match, mode: 'eager', slo: { lag } })
    expect(delay({ p: eager('5m'), q: eager('2m') })).toBe(2 * MINUTE_MS)
    const lazy = { match, mode: 'lazy', slo: { lag: '1m' } }
    expect(delay({ p: eager('5m'), q: lazy })).toBe(5 * MINUTE_MS)
  })

  test('a schedule adds the longest time between two windows, and one window for the transfer', () => {
    expect(delay({ p: scheduled('0 1 * * *', '4h') })).toBe(20 * HOUR_MS + 4 * HOUR_MS)
    const soon = scheduled('0 1 * * *', '4h', { slo: { lag: '30m' } })
    expect(delay({ p: soon })).toBe(20 * HOUR_MS + 30 * MINUTE_MS)
  })

  test('a transfer that is longer than a window waits for as many as it takes', () => {
    const long = scheduled('0 1 * * *', '1h', { slo: { lag: '3h' } })
    expect(delay({ p: long })).toBe(3 * 23 * HOUR_MS + 3 * HOUR_MS)
  })

  test('the longest time between two windows is over a weekend, and an hour longer where clocks are set back', () => {
    const days = (tz: string) => scheduled('0 1 * * 1-5', '4h', { slo: { lag: '1h' } }, tz)
    expect(delay({ p: days('UTC') })).toBe(68 * HOUR_MS + HOUR_MS)
    expect(delay({ p: days('site') }, 'Europe/Berlin')).toBe(69 * HOUR_MS + HOUR_MS)
  })

  test('windows that follow each other without a gap leave the transfer alone', () => {
    expect(delay({ p: scheduled('0 * * * *', '1h', { slo: { lag: '5m' } }) })).toBe(5 * MINUTE_MS)
  })

  test('a schedule with a window every quarter of an hour is known too', () => {
    const often = scheduled('*/15 * * * *', '5m', { slo: { lag: '2m' } }, 'Europe/Berlin')
    expect(delay({ p: often })).toBe(12 * MINUTE_MS)
  })

  test('a window on leap days is waited for up to four years', () => {
    const days = 4 * 365 + 1
    const leap = scheduled('0 0 29 2 *', '1d', { slo: { lag: '1h' } })
    expect(delay({ p: leap })).toBe((days - 1) * 24 * HOUR_MS + HOUR_MS)
  })

  test('a window that never opens is waited for without end', () => {
    expect(delay({ p: scheduled('0 0 30 2 *', '1h') })).toBe(Number.POSITIVE_INFINITY)
  })

  test('where an eager policy brings the same the schedule does not count', () => {
    const eager = { match, mode: 'eager', slo: { lag: '5m' } }
    expect(delay({ p: eager, q: scheduled('0 1 * * *', '4h') })).toBe(5 * MINUTE_MS)
    expect(delay({ p: { match, mode: 'eager' }, q: scheduled('0 1 * * *', '4h') })).toBeUndefined()
  })
})

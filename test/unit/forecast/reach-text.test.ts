import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { imagePlanRows, imagePlanText } from '../../../src/cli/image-plan-text.ts'
import { imageOf } from '../../../src/forecast/image-text.ts'
import { reachOf } from '../../../src/forecast/reach.ts'
import { boundText } from '../../../src/forecast/reach-text.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const SIZES: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
}

function msOf(text: string): number {
  return text.split(' ').reduce((sum, part) => {
    const [, count, unit = ''] = /^(\d+)(\w+)$/.exec(part) ?? []
    return sum + Number(count) * (SIZES[unit] ?? Number.NaN)
  }, 0)
}

describe('forecast / reach in words', () => {
  test('a bound is told in its two largest units, rounded up and never down', () => {
    const told = [
      0, 250, 59_001, 300_000, 3_599_999, 75_600_000, 86_340_000, 86_399_999, 90_000_000,
    ]
    expect(told.map(boundText)).toEqual([
      '0ms',
      '250ms',
      '1m',
      '5m',
      '1h',
      '21h',
      '23h 59m',
      '1d',
      '1d 1h',
    ])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 * 86_400_000 }), (ms) => {
        const back = msOf(boundText(ms))
        expect(back).toBeGreaterThanOrEqual(ms)
        expect(back).toBeLessThanOrEqual(ms * 1.05 + 1_000)
      }),
    )
  })

  test('where one image goes is told node by node, with the next window of who waits for one', () => {
    const topology = topologyWith({
      nodes: '{ a: {}, b: {}, c: {}, d: {}, e: {}, f: {} }',
      policies: `{ all: { match: { repos: ["**"] }, mode: eager, slo: { lag: 5m } }, lazy: { match: { repos: ["**"] }, mode: lazy },
        hand: { match: { repos: ["**"] }, mode: manual },
        night: { match: { repos: ["**"] }, mode: scheduled, schedule: { cron: "0 1 * * *", window: 4h, tz: UTC }, slo: { lag: 1h } } }`,
      links: `[{ from: a, to: b, policies: [all] }, { from: b, to: c, policies: [night] }, { from: b, to: d, policies: [lazy] },
        { from: b, to: e, policies: [hand] }]`,
    })
    const question = { repository: 'x' as never, tag: 'v1' as never, from: nodeName('a') }
    expect(imageOf('x:v1')).toEqual({ repository: 'x', tag: 'v1' })
    const asked = { topology, question, reaches: reachOf(topology, question) }
    const at = (hour: number) => imagePlanRows(asked, Date.UTC(2026, 0, 1, hour))
    expect(imagePlanText(asked, at(12))).toBe(
      `
x:v1, pushed at a
  NODE  IS         WHEN                            LATEST  BY
  a     present    pushed here                     0ms     a
  b     present    at once                         5m      a -> b (links[0], policy all)
  c     present    window opens 2026-01-02T01:00Z  21h 5m  a -> b (links[0], policy all) -> c (links[1], policy night)
  d     available  on request                      5m      a -> b (links[0], policy all) -> d (links[2], policy lazy)
  e     manual     at a person's word              -       a -> b (links[0], policy all) -> e (links[3], policy hand)
  f     absent     never                           -       no link leads to it
`.trim(),
    )
    expect(at(2)[2]?.when).toBe('window open until 2026-01-01T05:00Z')
  })
})

import { describe, expect, test } from 'vitest'
import { imagePlanRows, imagePlanText } from '../../../src/cli/image-plan-text.ts'
import { imageOf } from '../../../src/forecast/image-text.ts'
import { reachOf } from '../../../src/forecast/reach.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

describe('forecast / reach in words', () => {
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

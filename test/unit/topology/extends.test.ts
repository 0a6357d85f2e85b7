import { describe, expect, test } from 'vitest'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { errorLines, findingLines, textOf, topologyWith } from '../../helpers/topology-texts.ts'

const NIGHT = 'schedule: { cron: "0 1 * * *", window: 4h, tz: UTC }'

/** Policies of which the last one is linked. */
function withPolicies(...policies: readonly string[]) {
  const last = policies.at(-1)?.split(':')[0] ?? ''
  return {
    policies: `{ ${policies.join(', ')} }`,
    links: `[{ shape: star, center: a, leaves: b, policies: [${last}] }]`,
  }
}

function hashOf(...policies: readonly string[]) {
  const topology = topologyWith(withPolicies(...policies))
  return [topology.groups[0]?.policies[0]?.meaning, topology.groups[0]?.policies[0]?.platforms]
}

describe('topology / extends', () => {
  test('what a policy does not say is taken from the one that it extends, at any depth', () => {
    const topology = topologyWith(
      withPolicies(
        'base: { match: { repos: ["x/**"] }, mode: eager, priority: 3, slo: { lag: 5m } }',
        'middle: { extends: base, priority: 7 }',
        `last: { extends: middle, mode: scheduled, ${NIGHT} }`,
      ),
    )
    expect(topology.policies.get('last')).toMatchObject({
      mode: 'scheduled',
      priority: 7,
      lagObjectiveMs: 300_000,
    })
    expect(topology.policies.get('base')).toMatchObject({ mode: 'eager', priority: 3 })
  })

  test('of match each key is taken by itself, and tags as a whole', () => {
    const base =
      'base: { match: { repos: ["x/**"], tags: { include: ["v*"], exclude: ["*-rc*"] } }, mode: eager }'
    expect(hashOf(base, 'own: { extends: base, match: { platforms: [linux/arm64] } }')).toEqual(
      hashOf(
        'own: { match: { repos: ["x/**"], tags: { include: ["v*"], exclude: ["*-rc*"] }, platforms: [linux/arm64] }, mode: eager }',
      ),
    )
    expect(hashOf(base, 'own: { extends: base, match: { tags: { include: ["v1"] } } }')).toEqual(
      hashOf('own: { match: { repos: ["x/**"], tags: { include: ["v1"] } }, mode: eager }'),
    )
  })

  test('another mode leaves the schedule behind', () => {
    const base = `base: { match: { repos: ["**"] }, mode: scheduled, ${NIGHT} }`
    const { policies } = topologyWith(withPolicies(base, 'own: { extends: base, mode: lazy }'))
    expect(policies.get('own')).toMatchObject({ mode: 'lazy' })
    expect(policies.get('own')?.schedule).toBeUndefined()
  })

  test('a file that extends means the same as one that is written out', () => {
    const base = 'base: { match: { repos: ["**"] }, mode: eager }'
    const written = withPolicies(base, 'own: { match: { repos: ["**"] }, mode: lazy }')
    const extended = withPolicies(base, 'own: { extends: base, mode: lazy }')
    expect(topologyWith(extended).hash).toBe(topologyWith(written).hash)
  })

  test('a policy that a used one extends is used, one that an unused one extends is not', () => {
    const base = 'base: { match: { repos: ["**"] }, mode: eager }'
    const unused = (...policies: readonly string[]) =>
      findingLines(textOf(withPolicies(...policies))).filter((line) => line.includes('unused'))
    expect(unused(base, 'own: { extends: base }')).toEqual([])
    expect(
      unused(base, 'other: { extends: base }', 'own: { match: { repos: ["**"] }, mode: eager }'),
    ).toEqual([
      expect.stringContaining('no link uses policy "base"'),
      expect.stringContaining('no link uses policy "other"'),
    ])
  })

  test.each([
    {
      name: 'a name that nobody has',
      policies: ['base: { match: { repos: ["**"] }, mode: eager }', 'own: { extends: baes }'],
      says: ['policies.own.extends: unknown policy "baes"; did you mean "base"?'],
    },
    {
      name: 'itself',
      policies: ['own: { extends: own }'],
      says: ['policies.own.extends: a policy cannot extend itself: own extends own'],
    },
    {
      name: 'a circle, with one that leads into it',
      policies: [
        'one: { extends: two, mode: lazy }',
        'two: { extends: one }',
        'own: { extends: one }',
      ],
      says: ['policies.one.extends: a policy cannot extend itself: one extends two extends one'],
    },
    {
      name: 'what is no name',
      policies: ['own: { extends: 5, match: { repos: ["**"] }, mode: eager }'],
      says: ['policies.own.extends: expected text; got 5: put it in quotes'],
    },
    {
      name: 'what is no map',
      policies: ['base: 5', 'own: { extends: base }'],
      says: ['policies.base: expected a map; got 5'],
    },
    {
      name: 'one with mistakes: they are told there alone',
      policies: [
        'base: { match: { repos: ["A/**"], tags: { includ: [x] } }, mode: egaer, colour: red }',
        'middle: { extends: base }',
        'own: { extends: middle, match: { platforms: [linux] } }',
      ],
      says: [
        'policies.base.match.repos[0]: expected a glob in lower case, as repository names are; got "A/**"',
        'policies.base.match.tags.includ: unknown key "includ"; did you mean "include"?',
        'policies.base.mode: expected one of "eager", "lazy", "scheduled", "manual"; got "egaer"; did you mean "eager"?',
        'policies.base.colour: unknown key "colour"; expected one of extends, match, mode, schedule, untagged, priority, deletes, slo',
        'policies.own.match.platforms[0]: expected a platform such as linux/amd64 or linux/arm/v7; got "linux"',
      ],
    },
    {
      name: 'one without a mode: it is missing there',
      policies: ['base: { match: { repos: ["**"] } }', 'own: { extends: base }'],
      says: [
        'policies.base.mode: "mode" is missing: expected one of "eager", "lazy", "scheduled", "manual"',
      ],
    },
    {
      name: 'one that is refused for two keys together',
      policies: ['base: { match: { repos: ["**"] }, mode: scheduled }', 'own: { extends: base }'],
      says: [
        'policies.base.mode: mode scheduled needs a schedule: add schedule: { cron: "0 1 * * *", window: 4h, tz: site }',
      ],
    },
  ])('to extend $name is refused', ({ policies, says }) => {
    const text = textOf(withPolicies(...policies))
    expect(readTopology(text).topology).toBeUndefined()
    expect(errorLines(text).map((line) => line.replace(/^error \d+:\d+ /, ''))).toEqual(says)
  })
})

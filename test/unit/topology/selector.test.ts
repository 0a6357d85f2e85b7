import { describe, expect, test } from 'vitest'
import { topologyWith } from '../../helpers/topology-texts.ts'

const NODES = `{
  hub: { labels: { tier: hub } },
  eu: { labels: { tier: relay }, locality: { region: eu } },
  us: { labels: { tier: relay }, locality: { region: us } },
  eu-1: { labels: { tier: edge }, locality: { region: eu, zone: z1 } },
  us-1: { labels: { tier: edge }, locality: { region: us, zone: z1 } },
  spare: { locality: { region: eu }, labels: { region: us } } }`
const ALL = ['eu', 'eu-1', 'hub', 'spare', 'us', 'us-1']

const groupsOf = (links: string) =>
  topologyWith({ nodes: NODES, origins: '[{ repos: ["**"], writers: hub }]', links }).groups

describe('topology / selectors', () => {
  test.each([
    ['"*"', ALL],
    ['[us-1, hub]', ['hub', 'us-1']],
    ['[hub, eu, hub]', ['eu', 'hub']],
    ['{ tier: edge }', ['eu-1', 'us-1']],
    ['{ zone: z1 }', ['eu-1', 'us-1']],
    ['{ tier: "!edge" }', ['eu', 'hub', 'spare', 'us']],
    ['{ tier: "!edge", region: "!eu" }', ['hub', 'spare', 'us']],
    // The label of a node counts before its locality.
    ['{ region: us }', ['spare', 'us', 'us-1']],
    ['{ tier: relay, region: "!nowhere" }', ['eu', 'us']],
  ])('%s selects %j', (members, expected) => {
    const [group] = groupsOf(`[{ shape: mesh, members: ${members}, policies: [all] }]`)
    expect(group?.senders).toEqual(expected)
    expect(group?.receivers).toEqual(expected)
  })

  test('a map without labels is refused, or a slip would select every node', () => {
    expect(() => groupsOf('[{ shape: mesh, members: {}, policies: [all] }]')).toThrow('expected')
  })
})

describe('topology / groups', () => {
  const ends = (links: string) =>
    groupsOf(links).map(
      ({ id, senders, receivers }) => `${id}: ${senders.join()} > ${receivers.join()}`,
    )

  test('a tree with a match gives each parent the children of its own region', () => {
    expect(
      ends(
        '[{ shape: tree, parent: { tier: relay }, children: { tier: edge }, match: region, policies: [all] }]',
      ),
    ).toEqual(['0/eu: eu > eu-1', '0/us: us > us-1'])
  })

  test('a tree without a match gives every parent all children', () => {
    expect(
      ends('[{ shape: tree, parent: { tier: relay }, children: { tier: edge }, policies: [all] }]'),
    ).toEqual(['0/eu: eu > eu-1,us-1', '0/us: us > eu-1,us-1'])
  })

  test('a center is none of its own leaves', () => {
    expect(ends('[{ shape: star, center: hub, leaves: "*", policies: [all] }]')).toEqual([
      '0/hub: hub > eu,eu-1,spare,us,us-1',
    ])
  })

  test('every center of a star has all leaves', () => {
    expect(
      ends('[{ shape: star, center: [hub, eu], leaves: { tier: edge }, policies: [all] }]'),
    ).toEqual(['0/eu: eu > eu-1,us-1', '0/hub: hub > eu-1,us-1'])
  })

  test('no two groups have one id', () => {
    const links = `[
      { shape: mesh, members: "*", policies: [all] },
      { shape: star, center: hub, leaves: "*", flow: both, policies: [all] },
      { shape: star, center: hub, leaves: "*", flow: in, policies: [all] }]`
    const ids = groupsOf(links).map(({ id }) => id)
    expect(ids).toHaveLength(1 + 6 + 5)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

import { describe, expect, test } from 'vitest'
import { type Question, reachOf } from '../../../src/forecast/reach.ts'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'

const match = { repos: ['**'] }
const POLICIES = {
  all: { match, mode: 'eager', slo: { lag: '5m' } },
  slow: { match, mode: 'eager', slo: { lag: '30m' } },
  unbound: { match, mode: 'eager' },
  lazy: { match, mode: 'lazy' },
  manual: { match, mode: 'manual' },
  amd: { match: { ...match, platforms: ['linux/amd64'] }, mode: 'eager', slo: { lag: '5m' } },
  arm: { match: { ...match, platforms: ['linux/arm64'] }, mode: 'eager', slo: { lag: '5m' } },
  both: { match: { ...match, platforms: ['linux/amd64', 'linux/arm64'] }, mode: 'eager' },
  releases: { match: { ...match, tags: { include: ['v*'] } }, mode: 'eager' },
  never: { match, mode: 'scheduled', schedule: { cron: '0 0 30 2 *', window: '1h', tz: 'UTC' } },
}
const ONE_WRITER = [{ repos: ['**'], writers: 'a' }]

function topologyOf(links: readonly object[], origins: readonly object[] = ONE_WRITER): Topology {
  return topologyWith({
    nodes: '{ a: {}, b: {}, c: {}, d: {} }',
    origins: JSON.stringify(origins),
    policies: JSON.stringify(POLICIES),
    links: JSON.stringify(links),
  })
}

/** From one to the next, each with its policies. */
function chain(...steps: readonly (readonly [string, string, ...string[]])[]): readonly object[] {
  return steps.map(([from, to, ...policies]) => ({ from, to, policies }))
}

function reach(topology: Topology, more: Partial<Question> = {}) {
  return reachOf(topology, {
    from: 'a' as NodeName,
    repository: 'x/y' as RepositoryName,
    tag: '1' as Tag,
    ...more,
  }).nodes
}

/** `b present by a-b`, and the time in minutes where there is one. */
function lines(topology: Topology, more: Partial<Question> = {}): readonly string[] {
  return [...reach(topology, more)]
    .filter(([node]) => node !== 'a')
    .map(([node, { kind, reason, path, latestMs }]) => {
      const time = latestMs === undefined ? '' : ` in ${latestMs / 60_000}`
      return `${node} ${reason ?? kind}${path.length === 0 ? '' : ` by ${path.join('-')}`}${time}`
    })
}

describe('forecast / reach', () => {
  test('an image is present at every node on its way, each hop later than the one before', () => {
    const topology = topologyOf(chain(['a', 'b', 'all'], ['b', 'c', 'slow']))
    expect(lines(topology)).toEqual([
      'b present by a-b in 5',
      'c present by a-b-c in 35',
      'd no-news',
    ])
  })

  test('of two ways the one with the fewest links is told, and the time of the fastest one', () => {
    const topology = topologyOf(chain(['a', 'c', 'slow'], ['a', 'b', 'all'], ['b', 'c', 'slow']))
    expect(lines(topology)[1]).toBe('c present by a-c in 30')
    // The node takes what it hears of by all its policies, whichever link brought it.
    const faster = topologyOf(chain(['a', 'c', 'slow'], ['a', 'b', 'all'], ['b', 'c', 'all']))
    expect(lines(faster)[1]).toBe('c present by a-c in 5')
  })

  test('a way of which one hop has no bound has none, unless another way has one', () => {
    const open = topologyOf(chain(['a', 'b', 'unbound'], ['b', 'c', 'all']))
    expect(lines(open).slice(0, 2)).toEqual(['b present by a-b', 'c present by a-b-c'])
    const other = topologyOf(
      chain(['a', 'b', 'unbound'], ['b', 'c', 'all'], ['a', 'd', 'all'], ['d', 'c', 'all']),
    )
    expect(lines(other)[1]).toBe('c present by a-b-c in 10')
  })

  test('what a link does not let through reaches nobody behind it', () => {
    const topology = topologyOf(chain(['a', 'b', 'releases'], ['b', 'c', 'all']))
    expect(lines(topology)).toEqual(['b no-news', 'c no-news', 'd no-news'])
    expect(lines(topology, { tag: 'v1' as Tag }).slice(0, 2)).toEqual([
      'b present by a-b',
      'c present by a-b-c',
    ])
  })

  test('a lazy node serves, and an eager one behind it makes it pull through', () => {
    const topology = topologyOf(chain(['a', 'b', 'lazy'], ['b', 'c', 'all']))
    expect(lines(topology).slice(0, 2)).toEqual([
      'b available by a-b in 0',
      'c present by a-b-c in 5',
    ])
  })

  test('two lazy nodes that only have each other have nothing', () => {
    const topology = topologyOf(
      chain(['a', 'b', 'manual'], ['b', 'c', 'lazy'], ['c', 'd', 'lazy'], ['d', 'c', 'lazy']),
    )
    expect(lines(topology)).toEqual(['b manual by a-b', 'c manual by a-b-c', 'd manual by a-b-c-d'])
  })

  test('what is behind a manual node waits for the same word', () => {
    const topology = topologyOf(chain(['a', 'b', 'manual'], ['b', 'c', 'all'], ['a', 'd', 'all']))
    expect(lines(topology)).toEqual([
      'b manual by a-b',
      'c manual by a-b-c',
      'd present by a-d in 5',
    ])
  })

  test('policies of several links unite, whichever link brings the news', () => {
    // d would send by an eager policy and never hears of it itself.
    const topology = topologyOf(chain(['a', 'b', 'lazy'], ['d', 'b', 'all']))
    expect(lines(topology)[0]).toBe('b present by a-b in 5')
  })

  test('a node that is down neither hears, passes on nor serves', () => {
    const topology = topologyOf([
      { shape: 'ring', members: ['a', 'b', 'c', 'd'], policies: ['all'] },
    ])
    expect(lines(topology)).toEqual([
      'b present by a-b in 5',
      'c present by a-b-c in 10',
      'd present by a-d in 5',
    ])
    expect(lines(topology, { down: ['b' as NodeName] })).toEqual([
      'b down',
      'c present by a-d-c in 10',
      'd present by a-d in 5',
    ])
    const both = { down: ['b', 'd'] as NodeName[] }
    expect(lines(topology, both)).toEqual(['b down', 'c no-news', 'd down'])
  })

  test('a writer reads back what the others wrote, against the direction of a link', () => {
    const writers = [
      {
        repos: ['**'],
        writers: ['a', 'b'],
        conflict: { tags: 'register', resolve: 'hlc-lww' },
      },
    ]
    const topology = topologyOf(chain(['b', 'a', 'releases'], ['b', 'c', 'all']), writers)
    expect(lines(topology)).toEqual(['b present by a-b', 'c present by a-b-c', 'd no-news'])
    // Not against the direction to who may not write.
    const one = topologyOf(chain(['b', 'a', 'releases'], ['b', 'c', 'all']))
    expect(lines(one)).toEqual(['b no-news', 'c no-news', 'd no-news'])
  })

  test('of an index a node takes its platforms, and no other one is there', () => {
    const topology = topologyOf(chain(['a', 'b', 'arm']))
    expect(lines(topology)[0]).toBe('b present by a-b in 5')
    expect(lines(topology, { platform: 'linux/arm64' })[0]).toBe('b present by a-b in 5')
    expect(lines(topology, { platform: 'linux/amd64' })[0]).toBe('b no-platform by a-b')
  })

  test('a node waits in vain for platforms that its senders do not hold', () => {
    const topology = topologyOf(chain(['a', 'b', 'arm'], ['b', 'c', 'all'], ['b', 'd', 'arm']))
    expect(lines(topology)).toEqual([
      'b present by a-b in 5',
      'c no-source by a-b-c',
      'd present by a-b-d in 10',
    ])
  })

  test('a node gets from two senders what neither of them has whole', () => {
    const topology = topologyOf(
      chain(['a', 'b', 'arm'], ['a', 'c', 'amd'], ['b', 'd', 'both'], ['c', 'd', 'both']),
    )
    expect(lines(topology)[2]).toBe('d present by a-c-d')
  })

  test('other platforms come on request where a lazy policy lets them through', () => {
    const topology = topologyOf(chain(['a', 'b', 'arm', 'lazy']))
    expect(lines(topology)[0]).toBe('b present by a-b in 5')
    expect(lines(topology, { platform: 'linux/amd64' })[0]).toBe('b available by a-b in 0')
  })

  test('a window that never opens brings nothing', () => {
    const topology = topologyOf(chain(['a', 'b', 'never'], ['b', 'c', 'all']))
    expect(lines(topology).slice(0, 2)).toEqual(['b no-window by a-b', 'c no-source by a-b-c'])
  })

  test('a link without bandwidth brings news and no bytes', () => {
    const topology = topologyOf([
      { from: 'a', to: 'b', policies: ['all'], bandwidth: [{ down: '0kbit' }] },
      { from: 'a', to: 'c', policies: ['all'] },
    ])
    expect(lines(topology).slice(0, 2)).toEqual(['b no-source by a-b', 'c present by a-c in 5'])
  })

  test('a push at a node that may not write goes nowhere, or to the nearest writer, as origins say', () => {
    const at = { from: 'b' as NodeName }
    const links = chain(['a', 'b', 'all'])
    expect([...reach(topologyOf(links), at).values()].map(({ kind }) => kind)).toEqual([
      'absent',
      'absent',
      'absent',
      'absent',
    ])
    const proxied = topologyOf(links, [{ repos: ['**'], writers: 'a', elsewhere: 'proxy' }])
    expect(lines(proxied, at)[0]).toBe('b present by a-b in 5')
  })
})

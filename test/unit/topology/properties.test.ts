import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Reference, RepositoryName, Tag } from '../../../src/oci/name.ts'
import { flow, type Naming, neighboursOf, sourcesOf, wants } from '../../../src/topology/flow.ts'
import { topicsOf } from '../../../src/topology/groups.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'

const NAMES = ['a', 'b', 'c', 'd'] as const
const NODES: Readonly<Record<string, object>> = {
  a: { labels: { tier: 'hub' }, locality: { region: 'eu' } },
  b: { labels: { tier: 'relay' }, locality: { region: 'eu' } },
  c: { labels: { tier: 'relay' }, locality: { region: 'us' } },
  d: { labels: { tier: 'edge' }, locality: { region: 'us' } },
}
const POLICIES = {
  all: { match: { repos: ['**'] }, mode: 'eager' },
  team: { match: { repos: ['team/**'], tags: { include: ['v*'] } }, mode: 'eager' },
  loose: { match: { repos: ['team/*'], tags: { exclude: ['v1'] } }, mode: 'eager', untagged: true },
}
const ORIGINS = [
  {
    repos: ['shared/**'],
    writers: ['a', 'd'],
    conflict: { tags: 'register', resolve: 'hlc-lww' },
  },
  { repos: ['**'], writers: 'a' },
]

const somePolicies = fc.subarray(Object.keys(POLICIES), { minLength: 1 })
/** Two parts without a common node, so that every link joins somebody. */
const twoParts = fc
  .shuffledSubarray([...NAMES], { minLength: 2 })
  .chain((names) => fc.tuple(fc.constant(names), fc.integer({ min: 1, max: names.length - 1 })))
  .map(([names, at]) => [names.slice(0, at), names.slice(at)] as const)
const link = fc.oneof(
  fc
    .tuple(twoParts, fc.constantFrom('out', 'in', 'both'), somePolicies)
    .map(([[center, leaves], word, policies]) => ({
      shape: 'star',
      center,
      leaves,
      flow: word,
      policies,
    })),
  fc
    .tuple(twoParts, somePolicies)
    .map(([[parent, children], policies]) => ({ shape: 'tree', parent, children, policies })),
  fc
    .tuple(fc.subarray([...NAMES], { minLength: 2 }), somePolicies)
    .map(([members, policies]) => ({ shape: 'mesh', members, policies })),
)
const links = fc.array(link, { minLength: 1, maxLength: 4 })

function topologyOfLinks(someLinks: readonly object[], nodes: object = NODES): Topology {
  return topologyWith({
    nodes: JSON.stringify(nodes),
    origins: JSON.stringify(ORIGINS),
    policies: JSON.stringify(POLICIES),
    links: JSON.stringify(someLinks),
  })
}

const DIGEST = `sha256:${'1'.repeat(64)}` as Digest
const ITEMS = ['team/x', 'team/x/y', 'shared/x', 'other'].flatMap((repository) =>
  ['v1', 'v2', 'main', DIGEST, `sha256-${'1'.repeat(64)}.sig`].map((reference) => ({
    repository: repository as RepositoryName,
    reference: reference as Reference,
  })),
)
const NAMING: Naming = {
  tagsNaming: async function* () {
    yield 'v1' as Tag
  },
}
const PAIRS = NAMES.flatMap((from) =>
  NAMES.map((to) => [from as NodeName, to as NodeName] as const),
)

/** Each run reads one or two whole files; more of them would hold up the quick check. */
const RUNS = { numRuns: 25 }

type Lets = Pick<ReturnType<typeof wants>, 'passes'>

async function passing(filter: Lets): Promise<readonly string[]> {
  const passes = await Promise.all(ITEMS.map((item) => filter.passes(item, NAMING)))
  return ITEMS.filter((_, at) => passes[at]).map((item) => `${item.repository}:${item.reference}`)
}

describe('topology / properties', () => {
  test('adding a link never narrows what flows or what is wanted', async () => {
    await fc.assert(
      fc.asyncProperty(links, link, async (some, another) => {
        const [before, after] = [topologyOfLinks(some), topologyOfLinks([...some, another])]
        for (const [from, to] of PAIRS) {
          const wider = await passing(flow(after, from, to))
          expect(wider).toEqual(
            expect.arrayContaining([...(await passing(flow(before, from, to)))]),
          )
        }
        for (const name of NAMES as readonly string[] as readonly NodeName[]) {
          const wider = await passing(wants(after, name))
          expect(wider).toEqual(expect.arrayContaining([...(await passing(wants(before, name)))]))
        }
      }),
      RUNS,
    )
  })

  test('what is not wanted is not sent: whatever flows to a node, the node wants', async () => {
    await fc.assert(
      fc.asyncProperty(links, async (some) => {
        const topology = topologyOfLinks(some)
        for (const [from, to] of PAIRS) {
          const wanted = await passing(wants(topology, to))
          expect(wanted).toEqual(
            expect.arrayContaining([...(await passing(flow(topology, from, to)))]),
          )
        }
      }),
      RUNS,
    )
  })

  test('being a neighbour is mutual, and news flows between neighbours only', () => {
    fc.assert(
      fc.property(links, (some) => {
        const topology = topologyOfLinks(some)
        for (const [from, to] of PAIRS) {
          const isNeighbour = neighboursOf(topology, from).includes(to)
          expect(neighboursOf(topology, to).includes(from)).toBe(isNeighbour)
          if (!flow(topology, from, to).isEmpty) expect(isNeighbour).toBe(true)
          if (sourcesOf(topology, to).includes(from)) expect(isNeighbour).toBe(true)
        }
      }),
      RUNS,
    )
  })

  test('on every topic that a node sends on, somebody else receives, and may see it', async () => {
    await fc.assert(
      fc.asyncProperty(links, async (some) => {
        const topology = topologyOfLinks(some)
        for (const sender of NAMES as readonly string[] as readonly NodeName[]) {
          for (const { group, filter } of topicsOf(topology, sender).filter(({ sends }) => sends)) {
            const others = group.receivers.filter((name) => name !== sender)
            expect(others).not.toEqual([])
            for (const receiver of others) {
              expect(await passing(flow(topology, sender, receiver))).toEqual(
                expect.arrayContaining([...(await passing(filter))]),
              )
            }
          }
        }
      }),
      RUNS,
    )
  })

  test('the order of nodes in the file changes nothing', () => {
    fc.assert(
      fc.property(links, fc.shuffledSubarray([...NAMES], { minLength: 4 }), (some, order) => {
        const shuffled = Object.fromEntries(order.map((name) => [name, NODES[name] ?? {}]))
        const [one, other] = [topologyOfLinks(some), topologyOfLinks(some, shuffled)]
        const ends = ({ groups }: Topology) =>
          groups.map(({ id, senders, receivers }) => ({ id, senders, receivers }))
        expect(ends(other)).toEqual(ends(one))
        expect(other.hash).toBe(one.hash)
        for (const [from, to] of PAIRS) {
          expect(flow(other, from, to).hash).toBe(flow(one, from, to).hash)
        }
      }),
      RUNS,
    )
  })

  test('the hash of a filter tells filters apart: equal hashes pass equal things', async () => {
    await fc.assert(
      fc.asyncProperty(links, links, async (some, others) => {
        const [one, other] = [topologyOfLinks(some), topologyOfLinks(others)]
        for (const [from, to] of PAIRS) {
          const [left, right] = [flow(one, from, to), flow(other, from, to)]
          if (left.hash === right.hash) expect(await passing(left)).toEqual(await passing(right))
        }
      }),
      RUNS,
    )
  })
})

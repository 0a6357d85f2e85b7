/** Compiles a checked document into a Topology: globs become matchers, selectors nodes, links groups. */
import { createHash } from 'node:crypto'
import { anyGlob, imageMatcher } from './glob.ts'
import { toGroups } from './links.ts'
import { createSchedule } from './schedule.ts'
import type { PolicyDocument, TopologyDocument } from './schema.ts'
import { select } from './selector.ts'
import { semverMatcher } from './semver-range.ts'
import type { NodeName, Origin, Policy, Topology, TopologyNode } from './topology.ts'

export function compile(document: TopologyDocument): Topology {
  const nodes = Object.entries(document.nodes).map(([name, node]): TopologyNode => {
    const { locality, labels, timeZone, formerPeerIds, endpoint, mesh, peerId, storage } = node
    const former = formerPeerIds.map(({ peerId, until }) => ({
      peerId,
      untilMs: Date.parse(until),
    }))
    return {
      name: name as NodeName,
      locality: locality as Readonly<Record<string, string>>,
      labels,
      timeZone: timeZone ?? 'UTC',
      formerPeerIds: former,
      ...(storage === undefined ? {} : { storage: toBudget(storage) }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(mesh === undefined ? {} : { mesh }),
      ...(peerId === undefined ? {} : { peerId }),
    }
  })
  const policies = new Map(
    Object.entries(document.policies).map(([name, policy]) => [name, toPolicy(name, policy)]),
  )
  const named = (names: readonly string[]) => names.flatMap((name) => policies.get(name) ?? [])
  const { name: realm, generation, owner } = document.metadata
  return {
    realm,
    generation,
    ...(owner === undefined ? {} : { owner }),
    hash: createHash('sha256').update(meaningOf(document)).digest('hex'),
    nodes: new Map(nodes.map((node) => [node.name, node])),
    origins: document.origins.map((origin) => toOrigin(origin, nodes)),
    policies,
    groups: document.links.flatMap((link, number) => toGroups(link, number, nodes, named)),
    tests: document.tests,
  }
}

function toOrigin(
  origin: TopologyDocument['origins'][number],
  nodes: readonly TopologyNode[],
): Origin {
  const writers = select(origin.writers, nodes)
  return {
    matches: anyGlob(origin.repos),
    repos: origin.repos,
    writers,
    elsewhere: origin.elsewhere,
    immutableTags: origin.conflict?.tags === 'immutable',
    keepsLosers: origin.conflict?.tags === 'register' && origin.conflict.keep !== undefined,
    meaning: canonical({
      repos: [...origin.repos].sort(),
      writers,
      conflict: origin.conflict ?? null,
    }),
  }
}

function toPolicy(name: string, policy: PolicyDocument): Policy {
  const { match, mode, schedule, untagged, priority, deletes, slo } = policy
  const { repos } = match
  const { semver, include, exclude } = match.tags
  const isIncluded = anyGlob(include)
  const isExcluded = anyGlob(exclude)
  const isInRange = semver === undefined ? () => true : semverMatcher(semver)
  const platforms = match.platforms === undefined ? 'all' : [...new Set(match.platforms)].sort()
  const { propagate, grace = 0, keepLast = 0, guard } = deletes
  return {
    name,
    mode,
    ...(schedule === undefined ? {} : { schedule: createSchedule(schedule) }),
    match: { repos, ...(semver === undefined ? {} : { semver }), include, exclude },
    matchesRepository: anyGlob(repos),
    matchesTag: (tag) => isIncluded(tag) && !isExcluded(tag) && isInRange(tag),
    platforms,
    untagged,
    priority,
    deletes: { propagate, graceMs: grace, keepLast, ...(guard === undefined ? {} : { guard }) },
    ...(slo === undefined ? {} : { lagObjectiveMs: slo.lag }),
    meaning: canonical({
      repos: [...repos].sort(),
      semver: semver ?? null,
      include: [...include].sort(),
      exclude: [...exclude].sort(),
      untagged,
    }),
  }
}

function toBudget({ max, evict, pin }: NonNullable<TopologyDocument['nodes'][string]['storage']>) {
  return { maxBytes: max, evict, isPinned: imageMatcher(pin) }
}

/** Two files with the same meaning have one text: what was left out counts as its default, `extends` as what it brings. */
function meaningOf(document: TopologyDocument): string {
  const mapValues = <T, R>(map: Readonly<Record<string, T>>, change: (value: T) => R) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]))
  return canonical({
    ...document,
    nodes: mapValues(document.nodes, (node) => ({ ...node, timeZone: node.timeZone ?? 'UTC' })),
    policies: mapValues(document.policies, ({ extends: _, ...policy }) => policy),
  })
}

/** JSON with sorted keys: one text for one meaning. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}

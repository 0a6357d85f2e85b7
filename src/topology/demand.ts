/** Demand: how a node takes what its links bring it. Policies unite: the most eager one decides when, all of them what. */
import { groupFilter, type Item, type Naming, policiesTo } from './flow.ts'
import { writersOf } from './origins.ts'
import { unitePlatforms } from './platforms.ts'
import type { Schedule } from './schedule.ts'
import type { Mode, NodeName, Platforms, Policy, Topology } from './topology.ts'

export interface Demand {
  /** Comes by itself; undefined: nothing does. */
  readonly held?: Platforms
  /** When its bytes may be fetched: in any of these windows; undefined: at once. */
  readonly windows?: readonly Schedule[]
  /** Comes when a client asks for it. */
  readonly onRequest?: Platforms
  /** Comes at a person's word. */
  readonly onWord?: Platforms
  /** Of the jobs for it. */
  readonly priority: number
  /** The policies that bring it; none for what the node holds because it may write it. */
  readonly policies: readonly Policy[]
}

export interface Demands {
  /** Undefined: no link brings it, and the node may not write it. */
  of(item: Item, naming: Naming): Promise<Demand | undefined>
}

export function demandsOf(topology: Topology, node: NodeName): Demands {
  const named = new Map(policiesTo(topology, node).map((policy) => [policy.name, policy]))
  const policies = [...named.values()].map((policy) => ({
    policy,
    filter: groupFilter(topology, [policy]),
  }))
  return {
    of: async (item, naming) => {
      const passing: Policy[] = []
      for (const { policy, filter } of policies) {
        if (await filter.passes(item, naming)) passing.push(policy)
      }
      const isOwn = writersOf(topology, item.repository).includes(node)
      if (!isOwn && passing.length === 0) return undefined
      const demand = unite(passing)
      if (!isOwn) return demand
      const { windows: _, ...rest } = demand
      return { ...rest, held: 'all' }
    },
  }
}

/** What policies that let the same item through ask for together. */
export function unite(policies: readonly Policy[]): Demand {
  const platformsOf = (mode: Mode) =>
    policies
      .filter((policy) => policy.mode === mode)
      .reduce<Platforms | undefined>((sum, one) => unitePlatforms(sum, one.platforms), undefined)
  const eager = platformsOf('eager')
  const held = unitePlatforms(eager, platformsOf('scheduled'))
  const [onRequest, onWord] = [platformsOf('lazy'), platformsOf('manual')]
  const windows = policies.flatMap(({ schedule }) => (schedule === undefined ? [] : [schedule]))
  return {
    ...(held === undefined ? {} : { held }),
    ...(eager === undefined && windows.length > 0 ? { windows } : {}),
    ...(onRequest === undefined ? {} : { onRequest }),
    ...(onWord === undefined ? {} : { onWord }),
    priority: policies.length === 0 ? 0 : Math.max(...policies.map(({ priority }) => priority)),
    policies,
  }
}

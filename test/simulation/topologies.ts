/** The topologies that the simulation runs: the shipped ones, and shapes with cycles and diamonds. */
import { readFileSync } from 'node:fs'
import { peerOf } from '../../src/simulator/sim-node.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { fillTopology, type NodeAddresses } from '../../src/topology/topology-fill.ts'
import { PAIR } from '../helpers/topology-texts.ts'
import { variantsOf } from './topology-variants.ts'

/** A hub, two relays, one edge that both of them feed, and the edges joined among themselves: diamonds and a cycle. */
const DIAMOND = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: diamond, generation: 1 }
nodes:
  hub: {}
  left: { labels: { tier: relay } }
  right: { labels: { tier: relay } }
  edge-1: { labels: { tier: edge } }
  edge-2: { labels: { tier: edge } }
origins:
  - { repos: ["shared/**"], writers: [hub, edge-1], conflict: { tags: register, resolve: hlc-lww } }
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
  releases: { match: { repos: ["demo/**", "shared/**"], tags: { include: ["v*"], exclude: ["*-*"] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: { tier: relay }, policies: [all] }
  - { shape: mesh, members: { tier: relay }, policies: [all] }
  - { shape: tree, parent: { tier: relay }, children: { tier: edge }, policies: [releases] }
  - { shape: mesh, members: { tier: edge }, policies: [releases] }
`

/**
 * What is deleted at the hub goes at the nodes below it: at the relay, at an edge but for the last two tags of a repository,
 * and at the other edge in one repository only. One of them may write a repository itself.
 */
const FADING = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: fading, generation: 1 }
nodes:
  hub: {}
  relay: {}
  edge-1: {}
  edge-2: {}
origins:
  - { repos: ["shared/**"], writers: [hub, edge-1], conflict: { tags: register, resolve: hlc-lww } }
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager, deletes: { propagate: true, grace: 20s } }
  last: { match: { repos: ["**"] }, mode: eager, deletes: { propagate: true, grace: 10s, keepLast: 2 } }
  stay: { match: { repos: ["**"] }, mode: eager }
  go: { match: { repos: ["demo/**"] }, mode: eager, deletes: { propagate: true, grace: 10s } }
links:
  - { shape: star, center: hub, leaves: relay, policies: [all] }
  - { shape: star, center: relay, leaves: edge-1, policies: [last] }
  - { shape: star, center: relay, leaves: edge-2, policies: [stay, go] }
  - { shape: star, center: edge-1, leaves: relay, policies: [all] }
`

/** Nodes that let no more than a fifth of a repository's tags go at once without a person's word; one of them keeps the last. */
const GUARDED = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: guarded, generation: 1 }
nodes: { hub: {}, relay: {}, edge-1: {}, edge-2: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  soon: { match: { repos: ["**"] }, mode: eager, deletes: { propagate: true, grace: 5s, guard: 20% } }
  later: { match: { repos: ["**"] }, mode: eager, deletes: { propagate: true, grace: 20s, guard: 20% } }
  last: { match: { repos: ["**"] }, mode: eager, deletes: { propagate: true, keepLast: 1, guard: 10% } }
links:
  - { shape: star, center: hub, leaves: relay, policies: [soon] }
  - { shape: star, center: relay, leaves: edge-1, policies: [later] }
  - { shape: star, center: relay, leaves: edge-2, policies: [last] }
`

/** A hub that gives each of its nodes something else; one of them passes on what it may. */
const SPLIT = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: split, generation: 1 }
nodes: { hub: {}, north: {}, south: {}, shop: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  north: { match: { repos: ["**"] }, mode: eager }
  south: { match: { repos: ["**"], tags: { include: ["v2*"] } }, mode: eager }
  shop: { match: { repos: ["team-eu/**", "demo/**"], tags: { exclude: ["*-*"] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: north, policies: [north] }
  - { shape: star, center: hub, leaves: south, policies: [south, shop] }
  - { shape: star, center: south, leaves: shop, policies: [shop] }
`

/** Links so narrow that one image takes a minute, closed at first; peers ask each other first, and a writer reads back from one. */
const NARROW = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: narrow, generation: 1 }
nodes:
  hub: { locality: { region: east } }
  site-1: { locality: { region: west } }
  site-2: { locality: { region: west } }
  shop: { locality: { region: west } }
origins:
  - { repos: ["shared/**"], writers: [hub, site-1], conflict: { tags: register, resolve: hlc-lww } }
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - shape: star
    center: hub
    leaves: [site-1, site-2]
    policies: [all]
    bandwidth: [{ when: "00:00-00:01", down: 0kbit, up: 0kbit }, { down: 0.5kbit, up: 0.2kbit }]
  - { shape: mesh, members: [site-1, site-2], policies: [all], fetch: peers-first, bandwidth: [{ down: 0.8kbit }] }
  - { shape: star, center: site-2, leaves: shop, policies: [all], bandwidth: [{ down: 0.3kbit }] }
`

/** One platform below a relay that has two, and one of it in windows of a third of each minute; an edge writes too. */
const DEMAND = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demand, generation: 1 }
nodes:
  hub: {}
  relay: {}
  edge-1: { labels: { tier: edge } }
  edge-2: { labels: { tier: edge } }
  shop: {}
origins:
  - repos: ["shared/**"]
    writers: [hub, edge-1]
    conflict: { tags: register, resolve: hlc-lww, keep: losers-as-suffixed-tag }
  - { repos: ["**"], writers: hub }
policies:
  both: { match: { repos: ["**"], platforms: [linux/amd64, linux/arm64] }, mode: eager }
  arm: { match: { repos: ["**"], platforms: [linux/arm64] }, mode: eager }
  slots:
    match: { repos: ["**"], platforms: [linux/arm64] }
    mode: scheduled
    schedule: { cron: "* * * * *", window: 20s, tz: UTC }
links:
  - { shape: star, center: hub, leaves: relay, policies: [both] }
  - { shape: star, center: relay, leaves: { tier: edge }, policies: [arm] }
  - { shape: mesh, members: { tier: edge }, policies: [arm] }
  - { shape: star, center: edge-1, leaves: relay, policies: [both] }
  - { shape: star, center: edge-2, leaves: shop, policies: [slots] }
`

const SHIPPED = ['master-slave', 'hierarchical', 'mesh']

const SHIPPED_TEXTS = SHIPPED.map((name) =>
  readFileSync(new URL(`../../topologies/${name}.yaml`, import.meta.url), 'utf8'),
)
const SIMULATED = [...SHIPPED_TEXTS, DIAMOND, FADING, SPLIT].map((text) => ({
  text,
  topology: complete(text),
}))

export interface TopologyVariant {
  /** What it changes. */
  readonly what: string
  readonly topology: Topology
}

export function simulatedTopologies(): readonly Topology[] {
  return SIMULATED.map(({ topology }) => topology)
}

const variants = new Map<string, readonly TopologyVariant[]>()

/** What such a mesh may take up while it runs, the first file among it; nothing where it is not one of those that change. */
export function topologyVariants(realm: string): readonly TopologyVariant[] {
  const known = variants.get(realm)
  if (known !== undefined) return known
  const text = SIMULATED.find(({ topology }) => topology.realm === realm)?.text
  const made = (text === undefined ? [] : variantsOf(text)).map(({ what, text: other }) => ({
    what,
    topology: complete(other),
  }))
  variants.set(realm, made)
  return made
}

export function pairTopology(): Topology {
  return complete(PAIR)
}

export function fadingTopology(): Topology {
  return complete(FADING)
}

export function guardedTopology(): Topology {
  return complete(GUARDED)
}

export function demandTopology(): Topology {
  return complete(DEMAND)
}

export function narrowTopology(): Topology {
  return complete(NARROW)
}

function complete(text: string): Topology {
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(findings.map(({ message }) => message).join('; '))
  const addresses = new Map<NodeName, NodeAddresses>(
    [...topology.nodes.keys()].map((name) => [
      name,
      { endpoint: `http://${name}:5000`, mesh: `/dns4/${name}/tcp/4001`, peerId: peerOf(name) },
    ]),
  )
  const filled = readTopology(fillTopology(text, addresses)).topology
  if (filled === undefined) throw new Error('the filled topology is not valid')
  return filled
}

/**
 * Flow: what may go from one node to another, and what a node must hold. Links unite; adding one never narrows. A
 * writer reads the repositories that it may write back over any link, whatever the link's direction.
 */
import { createHash } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'
import { isDigest, type Reference, type RepositoryName, type Tag } from '../oci/name.ts'
import { writersOf } from './origins.ts'
import type { NodeName, Policy, Topology } from './topology.ts'

/** Signature of an SBOM of an image: deeper chains of fallback tags are not followed. */
const MAX_DEPTH = 4

/** What a record is about, as far as a filter cares. */
export interface Item {
  readonly repository: RepositoryName
  readonly reference: Reference
  /** The manifest that it is about: a signature's image. */
  readonly subject?: Digest
}

/** Facts that a filter asks for: they change as content comes. */
export interface Naming {
  /** Tags that show the digest, or an index that has it as a child, or what it is about. There may be many: they are read as they are asked for. */
  tagsNaming(repository: RepositoryName, digest: Digest): AsyncIterable<Tag>
}

export interface Filter {
  /** Another hash lets other things through: whoever read under the old one begins again. */
  readonly hash: string
  readonly isEmpty: boolean
  passes(item: Item, naming: Naming): Promise<boolean>
  /** Whether anything of the repository may pass. */
  reads(repository: RepositoryName): boolean
}

/** Filters made so far: a topology never changes, and a feed or a byte is asked for by the same two nodes again and again. */
const filters = new WeakMap<Topology, Map<string, Filter>>()

/** What `to` may see of what `from` knows. */
export function flow(topology: Topology, from: NodeName, to: NodeName): Filter {
  const made = filters.get(topology) ?? new Map<string, Filter>()
  filters.set(topology, made)
  const pair = `${from} ${to}`
  const filter = made.get(pair) ?? makeFlow(topology, from, to)
  made.set(pair, filter)
  return filter
}

function makeFlow(topology: Topology, from: NodeName, to: NodeName): Filter {
  const policies = topology.groups
    .filter((group) => from !== to && group.senders.includes(from) && group.receivers.includes(to))
    .flatMap(({ policies: some }) => some)
  return filterOf(topology, policies, areLinked(topology, from, to) ? to : undefined)
}

/** What `node` must hold. */
export function wants(topology: Topology, node: NodeName): Filter {
  return filterOf(topology, policiesTo(topology, node), node)
}

/** Policies of the links to the node, each as often as there are such links. */
export function policiesTo(topology: Topology, node: NodeName): readonly Policy[] {
  return topology.groups
    .filter(
      ({ receivers, senders }) => receivers.includes(node) && senders.some((one) => one !== node),
    )
    .flatMap(({ policies }) => policies)
}

/** What the links to `node` bring by their policies: not what it holds because it may write it. */
export function asksFor(topology: Topology, node: NodeName): Filter {
  return groupFilter(topology, policiesTo(topology, node))
}

/** What the link group lets through, whoever reads: for its topic. */
export function groupFilter(topology: Topology, policies: readonly Policy[]): Filter {
  return filterOf(topology, policies, undefined)
}

/** Nodes joined to this one by any link, in the order of the file. */
export function neighboursOf(topology: Topology, node: NodeName): readonly NodeName[] {
  return [...topology.nodes.keys()].filter((other) => areLinked(topology, node, other))
}

/** Neighbours that send to this node. */
export function sourcesOf(topology: Topology, node: NodeName): readonly NodeName[] {
  return neighboursOf(topology, node).filter((other) => !flow(topology, other, node).isEmpty)
}

/** Nodes whose links send to this one by a policy: its mesh time follows them. What a writer reads back is none of it. */
export function timeSourcesOf(topology: Topology, node: NodeName): readonly NodeName[] {
  const sending = topology.groups
    .filter(({ receivers, policies }) => receivers.includes(node) && policies.length > 0)
    .flatMap(({ senders }) => senders)
  return neighboursOf(topology, node).filter((other) => sending.includes(other))
}

/**
 * Neighbours that a writer compares its clock with: its sources and the other writers. Nodes that only receive must not be
 * able to stop it. None for a node that writes nothing.
 */
export function clockReferencesOf(topology: Topology, node: NodeName): readonly NodeName[] {
  const writers = topology.origins.flatMap((origin) => origin.writers)
  if (!writers.includes(node)) return []
  const sources = timeSourcesOf(topology, node)
  return neighboursOf(topology, node).filter(
    (other) => sources.includes(other) || writers.includes(other),
  )
}

function areLinked(topology: Topology, a: NodeName, b: NodeName): boolean {
  if (a === b) return false
  return topology.groups.some(
    ({ senders, receivers }) =>
      (senders.includes(a) && receivers.includes(b)) ||
      (senders.includes(b) && receivers.includes(a)),
  )
}

function filterOf(
  topology: Topology,
  listed: readonly Policy[],
  writer: NodeName | undefined,
): Filter {
  const policies = [...new Map(listed.map((policy) => [policy.name, policy])).values()]
  const isOwn = (repository: RepositoryName) =>
    writer !== undefined && writersOf(topology, repository).includes(writer)
  const writes = topology.origins.some(
    ({ writers }) => writer !== undefined && writers.includes(writer),
  )

  return {
    hash: hashOf(topology, policies, writes ? writer : undefined),
    isEmpty: policies.length === 0 && !writes,
    reads: (repository) =>
      isOwn(repository) || policies.some((policy) => policy.matchesRepository(repository)),
    passes: async ({ repository, reference, subject }, naming) => {
      if (isOwn(repository)) return true
      const matching = policies.filter((policy) => policy.matchesRepository(repository))
      if (matching.length === 0) return false
      const letsTag = (tag: Tag) => matching.some((policy) => policy.matchesTag(tag))
      if (!isDigest(reference) && letsTag(reference)) return true
      const about = subject ?? fallbackSubject(reference)
      // What came by digest, and what is about something that may have come so.
      const isUntagged = isDigest(reference) || about !== undefined
      if (isUntagged && matching.some(({ untagged }) => untagged)) return true
      return about !== undefined && (await isNamed(repository, about, letsTag, naming))
    },
  }
}

/** Whether a tag that passes names the manifest: itself, or what it is about by way of a fallback tag. */
async function isNamed(
  repository: RepositoryName,
  digest: Digest,
  letsTag: (tag: Tag) => boolean,
  naming: Naming,
  depth = 0,
): Promise<boolean> {
  const further = new Set<Digest>()
  for await (const tag of naming.tagsNaming(repository, digest)) {
    if (letsTag(tag)) return true
    const about = fallbackSubject(tag)
    if (about !== undefined) further.add(about)
  }
  if (depth >= MAX_DEPTH) return false
  for (const about of further) {
    if (await isNamed(repository, about, letsTag, naming, depth + 1)) return true
  }
  return false
}

/** The manifest that a fallback tag `sha256-<hex>...` is about (distribution-spec, "Referrers Tag Schema"). */
function fallbackSubject(reference: Reference): Digest | undefined {
  const hex = /^sha256-([0-9a-f]{64})(?:\..+|$)/.exec(reference)?.[1]
  return hex === undefined ? undefined : (`sha256:${hex}` as Digest)
}

/** Over what the policies say and who may write: anything else may change without a reader noticing. */
function hashOf(
  topology: Topology,
  policies: readonly Policy[],
  writer: NodeName | undefined,
): string {
  const meaning = {
    policies: policies.map(({ meaning: text }) => text).sort(),
    origins: topology.origins.map(({ meaning: text }) => text),
    writer: writer ?? null,
  }
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex').slice(0, 32)
}

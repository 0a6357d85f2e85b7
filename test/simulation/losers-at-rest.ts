/** What must hold of losers at rest: who holds a tag also serves what lost it, under the tag that is the same everywhere. */
import type { Digest } from '../../src/oci/digest.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { createLoserTags } from '../../src/planner/loser-tags.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import type { Entry } from '../../src/storage/ledger.ts'
import type { Topology } from '../../src/topology/topology.ts'

export interface LoserFacts {
  readonly topology: Topology
  readonly isWanted: (entry: Entry) => Promise<boolean>
  /** Whether anybody whom the node may ask has it whole. */
  readonly isAround: (repository: RepositoryName, digest: Digest) => Promise<boolean>
}

/** @throws when a loser is not served, or a tag is served that no conflict explains */
export async function checkLosers(
  { name, core }: SimNode,
  entries: readonly Entry[],
  { topology, isWanted, isAround }: LoserFacts,
): Promise<void> {
  if (core === undefined) return
  const loserTags = createLoserTags(topology)
  const explained = new Map<string, Set<string>>()
  for (const entry of entries) {
    const { repository, reference } = entry.key
    const names = explained.get(repository) ?? new Set()
    explained.set(repository, names)
    if (entry.held !== undefined && !reference.includes(':')) names.add(reference)
    if (!(await isWanted(entry))) continue
    for (const { tag, digest } of loserTags.of(repository, entry.history)) {
      names.add(tag)
      const isOwn = entries.some(
        ({ key }) => key.repository === repository && key.reference === tag,
      )
      const shown = (await core.content.statManifest(repository, tag))?.digest
      if (isOwn || shown === digest || !(await isAround(repository, digest))) continue
      throw new Error(`${name} does not serve ${repository}:${tag}, which lost ${reference}`)
    }
  }
  for (const [repository, names] of explained) {
    const listed = await core.content.tags(repository as RepositoryName, { limit: 10_000 })
    const odd = listed.find((tag: Tag) => !names.has(tag))
    if (odd !== undefined)
      throw new Error(`${name} serves ${repository}:${odd}, which nothing explains`)
  }
}

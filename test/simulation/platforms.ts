/** Of an index a node holds the images of the platforms that its policies name, and no others; counted from the topology. */
import type { Digest } from '../../src/oci/digest.ts'
import { isDigest, type RepositoryName } from '../../src/oci/name.ts'
import type { RecordKey } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { createIndexDb } from '../../src/storage/index-db.ts'
import { MANIFEST, PARENT, pairKey } from '../../src/storage/index-tables.ts'
import { unite } from '../../src/topology/demand.ts'
import { policiesTo } from '../../src/topology/flow.ts'
import { writersOf } from '../../src/topology/origins.ts'
import { hasPlatform } from '../../src/topology/platforms.ts'
import type { NodeName, Platforms } from '../../src/topology/topology.ts'
import type { World } from './world.ts'

export interface Child {
  readonly digest: Digest
  readonly platform?: { readonly os: string; readonly architecture: string }
}

/** What the node holds of the repository; everything at its writers. The topologies have one set a repository. */
export function platformsAt(
  { topology }: Pick<World, 'topology'>,
  node: NodeName,
  repository: RepositoryName,
): Platforms {
  if (writersOf(topology, repository).includes(node)) return 'all'
  const policies = policiesTo(topology, node).filter((one) => one.matchesRepository(repository))
  return unite(policies).held ?? 'all'
}

export function isMeant(platforms: Platforms, { platform }: Child): boolean {
  return hasPlatform(platforms, platform && `${platform.os}/${platform.architecture}`)
}

/** A part of indexes that the node has, for other platforms than it holds. */
export async function isOtherPlatform(
  world: World,
  node: SimNode,
  { repository, reference }: RecordKey,
): Promise<boolean> {
  const platforms = platformsAt(world, node.name, repository)
  if (!isDigest(reference) || platforms === 'all') return false
  const parents = createIndexDb(node.disk.backend).get(PARENT, pairKey(repository, reference)) ?? []
  const children: Child[] = []
  for (const parent of parents) {
    const manifest = await node.core?.content.readManifest(repository, parent)
    const document = JSON.parse(Buffer.from(manifest?.bytes ?? '{}').toString())
    children.push(...(document.manifests ?? []).filter((one: Child) => one.digest === reference))
  }
  return children.length > 0 && !children.some((child) => isMeant(platforms, child))
}

/** Nothing has come that is only a part for other platforms. @throws when something has */
export async function checkNoOthers(world: World, node: SimNode): Promise<void> {
  const index = createIndexDb(node.disk.backend)
  for (const [text] of await index.page(MANIFEST, { limit: 100_000 })) {
    const [repository, reference] = text.split('\0') as [RepositoryName, Digest]
    if (await isOtherPlatform(world, node, { repository, reference }))
      throw new Error(
        `${node.name} has ${repository}@${reference}, of a platform that nobody wants there`,
      )
  }
}

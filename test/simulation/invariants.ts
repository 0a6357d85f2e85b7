/** What must hold at every moment at every node that runs. */
import type { Digest } from '../../src/oci/digest.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import type { History } from '../../src/record/history.ts'
import { keyText, parseKeyText } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { wants } from '../../src/topology/flow.ts'
import { writersOf } from '../../src/topology/origins.ts'
import type { Platforms } from '../../src/topology/topology.ts'
import { checkTaken } from './deletes.ts'
import { knows, mayShow } from './memory.ts'
import { NO_NAMES } from './no-names.ts'
import { type Child, isMeant, platformsAt } from './platforms.ts'
import type { World } from './world.ts'

type Core = NonNullable<SimNode['core']>

/** At the nodes where something has changed. @throws when a promise is broken */
export async function checkChanged(world: World): Promise<void> {
  for (const node of world.nodes.values()) {
    const memory = world.memory.of(node)
    if (!memory.isChanged || node.core === undefined || node.disk.isFull) continue
    // A batch that failed may be on the disk after all: nobody has heard of its records.
    if (world.plot.fillsDisks) await world.memory.reread(node)
    memory.isChanged = false
    await checkServed(world, node, node.core)
  }
  const [violation] = world.memory.violations
  if (violation !== undefined) throw new Error(violation)
}

/** Every tag that it serves can be pulled whole from it, is wanted there, and was not taken back before. */
export async function checkServed(world: World, node: SimNode, core: Core): Promise<void> {
  const memory = world.memory.of(node)
  const shown = await servedBy(node, core, memory.isLacking)
  for (const [text, digest] of shown) await checkNew(world, node, text, digest)
  for (const text of memory.shown.keys()) checkGone(world, node, text, shown)
  world.files.looked(node)
  memory.shown = shown
  memory.knownAtLook = new Map(memory.histories)
}

async function servedBy(
  node: SimNode,
  core: Core,
  isLacking: boolean,
): Promise<Map<string, Digest>> {
  const { name } = node
  const shown = new Map<string, Digest>()
  const whole = new Set<string>()
  for (const repository of await core.content.repositories({ limit: 1000 })) {
    for (const tag of await core.content.tags(repository, { limit: 1000 })) {
      const stat = await core.content.statManifest(repository, tag)
      if (stat === undefined && isLacking) continue
      if (stat === undefined)
        throw new Error(`${name} lists ${repository}:${tag} and has no manifest`)
      const what = { platforms: platformsAt(node, name, repository), whole }
      if (!isLacking) await checkWhole(name, core, repository, stat.digest, what)
      // What has no history of its own is derived from another tag's.
      const key = { repository, reference: tag }
      if (core.ledger.entry(key) !== undefined) shown.set(keyText(key), stat.digest)
    }
  }
  return shown
}

async function checkWhole(
  name: string,
  core: Core,
  repository: RepositoryName,
  digest: Digest,
  what: { readonly platforms: Platforms; readonly whole: Set<string> },
): Promise<void> {
  const { platforms, whole } = what
  if (whole.has(`${repository}@${digest}`)) return
  whole.add(`${repository}@${digest}`)
  const manifest = await core.content.readManifest(repository, digest)
  if (manifest === undefined) throw new Error(`${name} lacks manifest ${digest} of ${repository}`)
  const document = JSON.parse(Buffer.from(manifest.bytes).toString())
  for (const child of (document.manifests ?? []) as readonly Child[]) {
    if (isMeant(platforms, child)) await checkWhole(name, core, repository, child.digest, what)
  }
  for (const blob of document.layers === undefined ? [] : [document.config, ...document.layers]) {
    const stat = await core.content.statBlob(repository, blob.digest)
    if (stat?.size !== blob.size)
      throw new Error(`${name} lacks blob ${blob.digest} of ${repository}`)
  }
}

/** Whether every byte of the image is there, of an index those of these platforms. */
export async function isWhole(
  name: string,
  core: Core,
  repository: RepositoryName,
  digest: Digest,
  platforms: Platforms,
): Promise<boolean> {
  try {
    await checkWhole(name, core, repository, digest, { platforms, whole: new Set() })
    return true
  } catch {
    return false
  }
}

async function checkNew(
  { files, memory }: World,
  node: SimNode,
  text: string,
  digest: Digest,
): Promise<void> {
  const { shown, knownAtLook } = memory.of(node)
  if (shown.get(text) === digest) return
  const key = parseKeyText(text)
  const where = `${key.repository}:${key.reference} at ${node.name}`
  if (!mayShow(memory, knownAtLook.get(text) ?? [], key, digest)) {
    throw new Error(`${where}: shows ${digest}, which was replaced or deleted there before`)
  }
  const wanted = [...files.sinceLook(node.name)].map((file) =>
    wants(file, node.name).passes(key, NO_NAMES),
  )
  if (!(await Promise.all(wanted)).some((is) => is))
    throw new Error(`${where}: held, but nobody wants it there`)
}

/** Only what a writer deleted goes, at once where writers are, and elsewhere as the policies say. */
function checkGone(
  world: World,
  node: SimNode,
  text: string,
  shown: ReadonlyMap<string, Digest>,
): void {
  if (shown.has(text)) return
  const { memory } = world
  const { repository, reference } = parseKeyText(text)
  const where = `${repository}:${reference} at ${node.name}`
  const isWriter = writersOf(node.topology, repository).includes(node.name)
  if (!isWriter) checkTaken(world, node, text, shown)
  const all = [...(memory.records.get(text)?.values() ?? [])]
  if (!all.some(({ record }) => record.kind === 'delete'))
    throw new Error(`${where}: taken away, and nobody deleted it`)
}

/** What was durable is known as long as the disk is whole. */
export function checkRemembers({ memory }: World, node: SimNode): void {
  if (node.core === undefined) return
  for (const [text, history] of memory.of(node).histories) {
    const key = parseKeyText(text)
    const here: History = node.core.ledger.entry(key)?.history ?? []
    for (const signed of history) {
      if (knows(here, signed)) continue
      throw new Error(`${node.name} forgot a record of ${key.repository}:${key.reference}`)
    }
  }
}

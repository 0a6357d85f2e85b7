/** What must hold once everything is whole and quiet: every node knows and holds exactly what the topology says. */
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { isDigest, type RepositoryName } from '../../src/oci/name.ts'
import { visibleOf } from '../../src/record/history.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { createIndexDb } from '../../src/storage/index-db.ts'
import { BLOB, MANIFEST, secondOf } from '../../src/storage/index-tables.ts'
import type { Entry } from '../../src/storage/ledger.ts'
import { itemOf, tagsNaming } from '../../src/storage/naming.ts'
import { flow, type Naming, neighboursOf, wants } from '../../src/topology/flow.ts'
import { originOf, writersOf } from '../../src/topology/origins.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { checkDeleted } from './deletes.ts'
import { checkChanged, checkRemembers, checkServed, isWhole } from './invariants.ts'
import { checkLosers } from './losers-at-rest.ts'
import { knows } from './memory.ts'
import { checkNoOthers, isOtherPlatform, platformsAt } from './platforms.ts'
import { checkVisible } from './visible-at-rest.ts'
import { nodeNamed, type World } from './world.ts'

/** More than any world has. */
const ALL = 100_000

type Entries = ReadonlyMap<NodeName, readonly Entry[]>

/** A record may come by its feed at the very moment at which it is passed on. */
const AGAIN = { share: 0.1, least: 4 }

/** @throws when a promise is broken */
export async function checkAtRest(world: World): Promise<void> {
  await checkChanged(world)
  const entries = new Map<NodeName, readonly Entry[]>()
  for (const node of world.nodes.values()) {
    if (node.core === undefined) throw new Error(`${node.name} is not running`)
    // What its disk lacked is mended, if anybody has it.
    if (!(await isBeyondMending(world, node))) world.memory.of(node).isLacking = false
    await checkServed(world, node, node.core)
    entries.set(node.name, (await node.core.ledger.page(0, ALL)).entries)
  }
  if (world.pending.size > 0) throw new Error(`${world.pending.size} pushes were never answered`)
  for (const node of world.nodes.values()) {
    checkRemembers(world, node)
    checkBytes(node)
    checkVisible(world, node, entries.get(node.name) ?? [])
    await checkLetThrough(world, node, entries.get(node.name) ?? [])
    await checkRecords(world, node, entries)
    await checkWinners(world, node, entries)
    await checkHeld(world, node, entries.get(node.name) ?? [])
    checkDeleted(world, node, entries.get(node.name) ?? [])
    checkFetched(world, node)
    await checkNoOthers(world, node)
    const wanted = wants(world.topology, node.name)
    await checkLosers(node, entries.get(node.name) ?? [], {
      topology: world.topology,
      isWanted: (entry) => wanted.passes(itemAt(entry), namingOf(world, node)),
      isAround: async (repository, digest) =>
        !mayBeLost(world) || (await isAround(world, node, repository, digest)),
    })
  }
  checkAcknowledged(world)
  checkSpreads(world)
}

/** What a neighbour knows and the links let through is known here. */
async function checkRecords(world: World, node: SimNode, entries: Entries): Promise<void> {
  const { topology } = world
  for (const from of neighboursOf(topology, node.name)) {
    const filter = flow(topology, from, node.name)
    const naming = namingOf(world, nodeNamed(world, from))
    for (const entry of entries.get(from) ?? []) {
      if (!(await filter.passes(itemAt(entry), naming))) continue
      const here = node.core?.ledger.entry(entry.key)?.history ?? []
      if (entry.history.every((signed) => knows(here, signed))) continue
      const { repository, reference } = entry.key
      throw new Error(`${node.name} does not know what ${from} knows of ${repository}:${reference}`)
    }
  }
}

/** What a node knows of a tag, some link lets through, or did by the files that both its ends ran; or it may write it. */
async function checkLetThrough(
  { topology, nodes, files }: World,
  { name }: SimNode,
  entries: readonly Entry[],
): Promise<void> {
  for (const { key, history } of entries) {
    if (isDigest(key.reference) || history.length === 0) continue
    if (writersOf(topology, key.repository).includes(name)) continue
    const ways = [...nodes.keys()].map((from) => files.hasPassed(from, name, key))
    if (!(await Promise.all(ways)).some((one) => one))
      throw new Error(
        `${name} knows ${key.repository}:${key.reference}, which no link lets through`,
      )
  }
}

/** Every blob has the bytes of its name. */
function checkBytes({ name, disk }: SimNode): void {
  for (const [digest, bytes] of disk.disk.blobs) {
    if (digestOf(bytes) !== digest) throw new Error(`${name} has wrong bytes of ${digest}`)
  }
}

/** Whether its index names what neither its disk nor a neighbour has. */
async function isBeyondMending(world: World, node: SimNode): Promise<boolean> {
  const { topology, memory } = world
  if (!memory.of(node).isLacking) return false
  const disks = neighboursOf(topology, node.name)
    .filter((from) => !flow(topology, from, node.name).isEmpty)
    .map((from) => nodeNamed(world, from).disk)
  const around = new Set([node.disk, ...disks].flatMap(({ disk }) => [...disk.blobs.keys()]))
  const index = createIndexDb(node.disk.backend)
  const rows = [
    ...(await index.page(BLOB, { limit: ALL })),
    ...(await index.page(MANIFEST, { limit: ALL })),
  ]
  return rows.some(([key]) => !around.has(secondOf(key) as Digest))
}

/** What is wanted is held, unless nobody has it any more; and nothing else is. */
async function checkHeld(world: World, node: SimNode, entries: readonly Entry[]): Promise<void> {
  const { name, core } = node
  const wanted = wants(world.topology, name)
  const lost = new Set<string>()
  for (const entry of entries) {
    const { key, history, held } = entry
    const where = `${key.repository}:${key.reference} at ${name}`
    const visible = visibleOf(history)
    const passes = await wanted.passes(itemAt(entry), namingOf(world, node))
    const isWanted = passes && !(await isOtherPlatform(world, node, key))
    if (visible !== undefined && isWanted && held?.digest !== visible.record.digest) {
      const { digest } = visible.record
      // A manifest by digest may be known where nobody on the way wants it: a superseded image's part, at a second writer.
      const mayBeGone = mayBeLost(world) || isDigest(key.reference)
      if (!mayBeGone || (await isAround(world, node, key.repository, digest))) {
        throw new Error(`${where}: holds ${held?.digest}, must hold ${digest}`)
      }
      // One by digest is given up when every source was asked; a tag is waited for, and all where there is nobody to ask.
      const isAsked = neighboursOf(world.topology, name).some((from) =>
        flow(world.topology, from, name).reads(key.repository),
      )
      if (!isDigest(key.reference) || !isAsked) lost.add(`${key.repository}@${digest}`)
    }
    // A signature stays when its image's tag has moved on, as superseded content does.
    const mayOutlive = itemAt(entry).subject !== undefined
    const isLeft = async () => passes || (await isLeftBehind(world, node, entry))
    if (held !== undefined && !isWanted && !mayOutlive && !(await isLeft()))
      throw new Error(`${where}: held, but nobody wants it there`)
    const isWriter = writersOf(world.topology, key.repository).includes(name)
    if (visible === undefined && held !== undefined && isWriter && history.length > 0) {
      throw new Error(`${where}: deleted, and a writer still shows it`)
    }
  }
  const ended = ['done', 'superseded', 'gone']
  const open = (core?.queue.list() ?? []).filter(({ state }) => !ended.includes(state))
  const odd = open.find(({ id }) => !lost.has(id))
  if (odd !== undefined) throw new Error(`${name} still has a job: ${JSON.stringify(odd)}`)
}

/** Whether a neighbour that lets this node read has the image whole. */
async function isAround(
  world: World,
  node: SimNode,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  const { topology } = world
  for (const from of neighboursOf(topology, node.name)) {
    const { core } = nodeNamed(world, from)
    if (core === undefined || !flow(topology, from, node.name).reads(repository)) continue
    // Its index may have been set back to a time when it had the image.
    const platforms = platformsAt(world, node.name, repository)
    if (await isWhole(from, core, repository, digest, platforms)) return true
  }
  return false
}

/** A narrower file takes nothing away. */
async function isLeftBehind(world: World, node: SimNode, entry: Entry): Promise<boolean> {
  const wanted = [...world.files.all(node.name)].map((file) =>
    wants(file, node.name).passes(itemAt(entry), namingOf(world, node)),
  )
  return (await Promise.all(wanted)).some((is) => is)
}

/** What is known may be nowhere from where it could come: with a disk, or with the links that brought word of it. */
function mayBeLost({ nodes, memory, topology }: World): boolean {
  const areLost = [...nodes.values()].some((node) => memory.of(node).losses > 0)
  return areLost || topology.generation > 1
}

function checkFetched({ plot }: World, { name, fetched }: SimNode): void {
  if (plot.collects) return
  for (const [digest, times] of fetched) {
    if (times > 1) throw new Error(`${name} fetched ${digest} ${times} times`)
  }
}

/** Where records flow both ways, both ends see the same winner. */
async function checkWinners(world: World, node: SimNode, entries: Entries): Promise<void> {
  const { topology } = world
  for (const other of neighboursOf(topology, node.name)) {
    const [there, back] = [flow(topology, node.name, other), flow(topology, other, node.name)]
    if (there.isEmpty || back.isEmpty) continue
    for (const entry of entries.get(node.name) ?? []) {
      const item = itemAt(entry)
      if (!(await there.passes(item, namingOf(world, node)))) continue
      const history = nodeNamed(world, other).core?.ledger.entry(entry.key)?.history ?? []
      if (!(await back.passes(item, namingOf(world, nodeNamed(world, other))))) continue
      if (visibleOf(history)?.id === visibleOf(entry.history)?.id) continue
      const { repository, reference } = entry.key
      throw new Error(
        `${node.name} and ${other} differ on the winner of ${repository}:${reference}`,
      )
    }
  }
}

/**
 * Every push and delete that was answered is known, or replaced by a later one, at the writer that answered. Only its lost
 * disk may have taken it, and only when no neighbour had it: those are compared record by record above.
 */
function checkAcknowledged({ nodes, memory }: World): void {
  for (const ofKey of memory.records.values()) {
    for (const signed of ofKey.values()) {
      if (!memory.acknowledged.has(signed.id)) continue
      const writer = [...nodes.values()].find(({ identity }) => identity.peerId === signed.writer)
      if (writer === undefined || memory.of(writer).losses > 0) continue
      if (knows(writer.core?.ledger.entry(signed.record)?.history ?? [], signed)) continue
      const { repository, reference } = signed.record
      throw new Error(`${writer.name} forgot ${repository}:${reference}, which it had answered`)
    }
  }
}

/** Announcements are bounded by what was learnt, whatever the time: nobody tells a record twice on one topic. */
function checkSpreads({ plot, memory }: World): void {
  // What could not be written at once, or had to wait for its time, is told when it comes and when it is stored.
  if (plot.fillsDisks || plot.movesClocks || plot.slowMs > 0) return
  const { made, again } = memory.spreads
  if (again > made * AGAIN.share + AGAIN.least)
    throw new Error(`${again} of ${made} announcements were made before`)
}

function itemAt({ key, history }: Pick<Entry, 'key' | 'history'>) {
  return itemOf(key, visibleOf(history)?.record ?? history[0]?.record)
}

function namingOf({ topology }: World, node: SimNode): Naming {
  const index = createIndexDb(node.disk.backend)
  return {
    tagsNaming: (repository, digest) => {
      const keepsLosers = originOf(topology, repository)?.keepsLosers === true
      return tagsNaming(index, repository, digest, { keepsLosers })
    },
  }
}

/** What must hold: at every moment for what is served, and at rest for the whole mesh. */
import { visibleOf } from '../../src/record/history.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { createIndexDb } from '../../src/storage/index-db.ts'
import type { Entry } from '../../src/storage/ledger.ts'
import { itemOf, tagsNaming } from '../../src/storage/naming.ts'
import { flow, type Naming, neighboursOf, wants } from '../../src/topology/flow.ts'
import { writersOf } from '../../src/topology/origins.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { knows, type World } from './world.ts'

/** Every tag that any node serves can be pulled whole from it. */
export async function checkServed({ nodes }: World): Promise<void> {
  for (const { name, core } of nodes.values()) {
    if (core === undefined) continue
    for (const repository of await core.content.repositories({ limit: 1000 })) {
      for (const tag of await core.content.tags(repository, { limit: 1000 })) {
        const stat = await core.content.statManifest(repository, tag)
        if (stat === undefined)
          throw new Error(`${name} lists ${repository}:${tag} and has no manifest`)
        await checkWhole(name, core, repository, stat.digest)
      }
    }
  }
}

async function checkWhole(
  name: NodeName,
  core: NonNullable<SimNode['core']>,
  repository: Parameters<typeof core.content.readManifest>[0],
  digest: NonNullable<Entry['held']>['digest'],
): Promise<void> {
  const manifest = await core.content.readManifest(repository, digest)
  if (manifest === undefined) throw new Error(`${name} lacks manifest ${digest} of ${repository}`)
  const document = JSON.parse(Buffer.from(manifest.bytes).toString())
  for (const child of document.manifests ?? [])
    await checkWhole(name, core, repository, child.digest)
  for (const blob of document.layers === undefined ? [] : [document.config, ...document.layers]) {
    const stat = await core.content.statBlob(repository, blob.digest)
    if (stat?.size !== blob.size)
      throw new Error(`${name} lacks blob ${blob.digest} of ${repository}`)
  }
}

/** The whole mesh, once everything is up and quiet. */
export async function checkAtRest(world: World): Promise<void> {
  await checkServed(world)
  const entries = new Map<NodeName, readonly Entry[]>()
  for (const { name, core } of world.nodes.values()) {
    if (core === undefined) throw new Error(`${name} is not running`)
    entries.set(name, (await core.ledger.page(0, 100_000)).entries)
  }
  for (const node of world.nodes.values()) {
    await checkRecords(world, node, entries)
    await checkHeld(world, node, entries.get(node.name) ?? [])
    for (const [digest, times] of node.fetched) {
      if (times > 1 && !world.collects)
        throw new Error(`${node.name} fetched ${digest} ${times} times`)
    }
    const open = node.core?.queue.openCount()
    if (open !== 0)
      throw new Error(
        `${node.name} still has ${open} open jobs: ${JSON.stringify(node.core?.queue.list().filter(({ state }) => !['done', 'superseded', 'gone'].includes(state)))}`,
      )
  }
  checkAcknowledged(world)
  checkMessages(world)
}

/** What a neighbour knows and the links let through is known here. */
async function checkRecords(
  { topology, nodes }: World,
  { name, core }: SimNode,
  entries: ReadonlyMap<NodeName, readonly Entry[]>,
): Promise<void> {
  for (const from of neighboursOf(topology, name)) {
    const filter = flow(topology, from, name)
    const naming = namingOf(nodes.get(from))
    for (const { key, history } of entries.get(from) ?? []) {
      if (!(await filter.passes(itemAt({ key, history }), naming))) continue
      const here = core?.ledger.entry(key)?.history ?? []
      for (const signed of history) {
        if (knows(here, signed)) continue
        throw new Error(
          `${name} does not know what ${from} knows of ${key.repository}:${key.reference}`,
        )
      }
    }
  }
}

/** What is wanted is held, and nothing else is. */
async function checkHeld(
  { topology }: World,
  node: SimNode,
  entries: readonly Entry[],
): Promise<void> {
  const { name } = node
  const wanted = wants(topology, name)
  for (const { key, history, held } of entries) {
    const where = `${key.repository}:${key.reference} at ${name}`
    const visible = visibleOf(history)
    const isWanted = await wanted.passes(itemAt({ key, history }), namingOf(node))
    if (visible !== undefined && isWanted && held?.digest !== visible.record.digest) {
      throw new Error(`${where}: holds ${held?.digest}, must hold ${visible.record.digest}`)
    }
    // A signature stays when its image's tag has moved on, as superseded content does.
    const mayOutlive = itemAt({ key, history }).subject !== undefined
    if (held !== undefined && !isWanted && !mayOutlive)
      throw new Error(`${where}: held, but nobody wants it there`)
    const isWriter = writersOf(topology, key.repository).includes(name)
    if (visible === undefined && held !== undefined && isWriter) {
      throw new Error(`${where}: deleted, and a writer still shows it`)
    }
  }
}

/** Every push and delete that was answered is known, or replaced by a later one, at the writer that answered. */
function checkAcknowledged({ nodes, acknowledged }: World): void {
  for (const signed of acknowledged) {
    const writer = [...nodes.values()].find(({ identity }) => identity.peerId === signed.writer)
    const history = writer?.core?.ledger.entry(signed.record)?.history ?? []
    if (!knows(history, signed)) {
      throw new Error(
        `${writer?.name} forgot ${signed.record.repository}:${signed.record.reference}`,
      )
    }
  }
}

/** Announcements are bounded by records and links, whatever the time: each member hands each record to each other once. */
function checkMessages({ topology, acknowledged, hub }: World): void {
  const ends = topology.groups.reduce((sum, { senders, receivers }) => {
    const members = new Set([...senders, ...receivers]).size
    return sum + members * members
  }, 0)
  // Twice: the simulated network doubles some; a record goes out again from a node that learnt it by its feed.
  const bound = 2 * ends * new Set(acknowledged.map(({ id }) => id)).size
  if (hub.delivered() > bound) throw new Error(`${hub.delivered()} announcements, at most ${bound}`)
}

function itemAt({ key, history }: Pick<Entry, 'key' | 'history'>) {
  return itemOf(key, visibleOf(history)?.record ?? history[0]?.record)
}

function namingOf(node: SimNode | undefined): Naming {
  if (node === undefined) throw new Error('no such node')
  const index = createIndexDb(node.disk.backend)
  return { tagsNaming: async (repository, digest) => tagsNaming(index, repository, digest) }
}

/** What clients do: pushes, signatures, promotions, deletes, side by side and whether or not their node lives through it. */
import { codeOf } from '../../src/lib/errors.ts'
import { signedChanges } from '../../src/node/signed-changes.ts'
import { OciError } from '../../src/oci/errors.ts'
import type { Reference, RepositoryName, Tag } from '../../src/oci/name.ts'
import { keyText } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { writersOf } from '../../src/topology/origins.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'
import { advance, nodeNamed, type World } from './world.ts'

export interface Actions {
  push(): Promise<void>
  promote(): Promise<void>
  sign(): Promise<void>
  remove(): Promise<void>
  /** Many at once. */
  removeMost(): Promise<void>
  /** A person lets go what waits for it. */
  confirm(): Promise<void>
  collect(): Promise<void>
}

const TAGS = ['v1.0.0', 'v1.1.0', 'v1.2.0-rc1', 'latest'] as Tag[]
/** Simulated milliseconds between a push and the collector at some node: as long as jobs take. */
const COLLECT_WITHIN_MS = 300
/** A disk that is full, an index that opens anew, a writer that reads back: the client is told, and nothing happened. */
const REFUSALS = ['INDEX_WRITE_FAILED', 'INDEX_REOPENING', 'ENOSPC']

export function createActions(world: World): Actions {
  const { topology, random, memory, tell } = world
  const repositories = repositoriesOf(world)
  let images = 0
  let last: TestManifest | undefined
  let pushed: { image: TestManifest; repository: RepositoryName; writer: NodeName } | undefined

  const writerOf = (repository: RepositoryName) =>
    nodeNamed(world, random.pick(writersOf(topology, repository)))

  /** Begins it; the answer comes, or the node dies first. */
  function ask(node: SimNode, what: string, act: () => Promise<void>): void {
    const { life } = node.process ?? {}
    if (node.core === undefined || life === undefined) return
    tell(`${what} at ${node.name}`)
    const answered = act().then(
      () => tell(`  answered: ${what} at ${node.name}`),
      (err: unknown) => {
        if (life.signal.aborted) return
        if (!isRefusal(err)) {
          memory.violations.push(`${what} at ${node.name}: ${String(err)}`)
        }
        tell(`  refused: ${what} at ${node.name}: ${codeOf(err)}`)
      },
    )
    const done = Promise.race([answered, life.over]).finally(() => world.pending.delete(done))
    world.pending.add(done)
  }

  function isRefusal(err: unknown): boolean {
    if (err instanceof OciError && err.status === 503) return true
    const code = codeOf(err)
    // The collector may come between a blob and the manifest that names it, as long as there is no grace.
    if (code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN') return world.plot.collects
    return code !== undefined && REFUSALS.includes(code)
  }

  function acknowledge(node: SimNode, key: { repository: RepositoryName; reference: Reference }) {
    const mine = [...(memory.records.get(keyText(key))?.values() ?? [])].filter(
      ({ writer }) => writer === node.identity.peerId,
    )
    for (const { id } of mine) memory.acknowledged.add(id)
    return mine
  }

  /** As the registry calls it: a writer that has just started reads back first what it signed before. */
  const changesOf = (core: NonNullable<SimNode['core']>) =>
    signedChanges(core.content, world.plot.isClockBlind ? core.readBack : core.signing)

  async function pushAt(
    node: SimNode,
    repository: RepositoryName,
    reference: Reference,
    image: TestManifest,
  ): Promise<void> {
    const { core, process } = node
    if (core === undefined || process === undefined) return
    for (const manifest of manifestsOf(image)) {
      for (const { digest, bytes } of manifest.blobs) {
        await process.blobs.put(digest, bytes)
        await core.content.linkBlob(repository, digest)
      }
      const { mediaType, bytes, digest } = manifest
      const key = { repository, reference: manifest === image ? reference : digest }
      await changesOf(core).pushManifest({ ...key, mediaType, bytes })
      const said = acknowledge(node, key)
      const shown = core.ledger.entry(key)?.held?.digest
      if (shown === digest) continue
      if (!said.some(({ record }) => record.kind === 'put' && record.digest === digest))
        throw new Error(`${repository}:${key.reference} was answered and not signed`)
    }
  }

  function makeSome(): TestManifest {
    images += 1
    const one = makeImage(`image ${images}`, {
      layers: 1 + random.below(3),
      layerBytes: 1 + random.below(120),
      // Layers of an earlier image: they must be linked, not fetched.
      ...(last !== undefined && last.children.length === 0 && random.fraction() < 0.3
        ? { sharedLayers: last.blobs.slice(1) }
        : {}),
    })
    return random.fraction() < 0.3 ? makeIndex([one, makeImage(`other ${images}`)]) : one
  }

  /** Tags that their writer may delete: one that is derived from the loser of another one cannot be deleted by itself. */
  async function tagsAt({ core }: SimNode, repository: RepositoryName): Promise<readonly Tag[]> {
    const tags = (await core?.content.tags(repository, { limit: 10 })) ?? []
    return tags.filter((reference) => core?.ledger.entry({ repository, reference }) !== undefined)
  }

  function removeAt(writer: SimNode, repository: RepositoryName, reference: Tag): void {
    const { core } = writer
    if (core === undefined) return
    ask(writer, `delete ${repository}:${reference}`, async () => {
      if (!(await changesOf(core).deleteTag(repository, reference))) return
      const said = acknowledge(writer, { repository, reference })
      if (!said.some(({ record }) => record.kind === 'delete'))
        throw new Error(`the delete of ${repository}:${reference} was answered and not signed`)
    })
  }

  return {
    push: async () => {
      const repository = random.pick(repositories)
      const writer = writerOf(repository)
      if (writer.core === undefined) return
      const image = makeSome()
      const tag = random.pick(TAGS)
      last = image
      pushed = { image, repository, writer: writer.name }
      ask(writer, `push ${repository}:${tag} ${short(image)}`, () =>
        pushAt(writer, repository, tag, image),
      )
    },
    /** The image pushed last gets another tag: its signatures must come along to where that tag goes. */
    promote: async () => {
      if (pushed === undefined) return
      const { image, repository } = pushed
      const writer = nodeNamed(world, pushed.writer)
      const tag = random.pick(['v1.0.0', 'v2.0.0']) as Tag
      ask(writer, `promote ${short(image)} to ${repository}:${tag}`, () =>
        pushAt(writer, repository, tag, image),
      )
    },
    /** A signature of the image pushed last, by digest. */
    sign: async () => {
      const repository = random.fraction() < 0.7 ? pushed?.repository : random.pick(repositories)
      if (repository === undefined || last === undefined) return
      const writer = writerOf(repository)
      images += 1
      const subject = last.children[0] ?? last
      const signature = makeImage(`signature ${images}`, { layers: 1, subject })
      ask(writer, `sign ${short(subject)} in ${repository}`, () =>
        pushAt(writer, repository, signature.digest, signature),
      )
    },
    remove: async () => {
      const repository = random.pick(repositories)
      const writer = writerOf(repository)
      if (writer.core === undefined || writer.disk.isFull) return
      const tags = await tagsAt(writer, repository)
      if (tags.length > 0) removeAt(writer, repository, random.pick(tags))
    },
    removeMost: async () => {
      const repository = random.pick(repositories)
      const writer = writerOf(repository)
      if (writer.core === undefined || writer.disk.isFull) return
      const [, ...tags] = await tagsAt(writer, repository)
      for (const tag of tags) removeAt(writer, repository, tag)
    },
    confirm: async () => {
      const node = random.pick([...world.nodes.values()])
      const waiting = node.core?.deletes.heldUp() ?? []
      if (waiting.length === 0 || node.disk.isFull) return
      const { repository } = random.pick(waiting)
      ask(node, `let the deletes of ${repository} go`, () => world.guards.confirm(node, repository))
    },
    /** Without a grace, and where it hurts: jobs run, news waits, layers of an earlier image are about to be linked. */
    collect: async () => {
      if (!world.plot.collects) return
      const repository = random.pick(repositories)
      const writer = writerOf(repository)
      images += 1
      const first = makeImage(`first ${images}`)
      const back = makeImage(`back ${images}`, { sharedLayers: first.blobs.slice(1) })
      for (const image of [first, makeImage(`between ${images}`), back]) {
        await advance(world, random.below(5_000))
        const reference = 'v1.0.0' as Tag
        ask(writer, `push ${repository}:${reference} ${short(image)}`, () =>
          pushAt(writer, repository, reference, image),
        )
      }
      for (const node of world.nodes.values()) {
        await advance(world, random.below(COLLECT_WITHIN_MS))
        await collectAt(world, node)
      }
    },
  }
}

async function collectAt(world: World, node: SimNode): Promise<void> {
  const { life } = node.process ?? {}
  if (node.core === undefined || life === undefined || node.disk.isFull) return
  const gone: string[] = []
  const run = node.core.collector.collect({
    onItem: ({ kind, name, isDue }) => {
      if (isDue) gone.push(`${kind} ${name.slice(7, 15)}`)
    },
  })
  run.then(
    () => gone.length > 0 && world.tell(`collected at ${node.name}: ${gone.join(', ')}`),
    (err: unknown) => world.tell(`not collected at ${node.name}: ${codeOf(err)}`),
  )
}

/** Repositories that somebody may write, from the words of the topologies. */
export function repositoriesOf({ topology }: World): readonly RepositoryName[] {
  const words = ['demo/hello', 'acme/api', 'shared/base', 'team-eu/x', 'other/thing']
  return (words as RepositoryName[]).filter((name) => writersOf(topology, name).length > 0)
}

function short({ digest }: { readonly digest: string }): string {
  return digest.slice(7, 15)
}

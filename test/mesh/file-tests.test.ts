/** What the shipped topologies promise, tried with real nodes: every test in the files that a running mesh can be asked for. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageOf } from '../../src/forecast/image-text.ts'
import { pushEnd } from '../../src/forecast/pushes.ts'
import { type Question, type Reach, reachOf } from '../../src/forecast/reach.ts'
import { classOf, type Image } from '../../src/forecast/ways.ts'
import type { TestDocument } from '../../src/topology/schema.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { statusOf } from '../helpers/admin-calls.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { shippedText, topologyOf } from '../helpers/topology-texts.ts'

const DIRECTORY = fileURLToPath(new URL('../../topologies/', import.meta.url))
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.yaml'))
/** As `makeIndex` counts them; the last one stands for every platform that no policy names. */
const [LAST, ...FIRST] = ['linux/s390x', 'linux/amd64', 'linux/arm64']
const PLATFORMS = [...FIRST, LAST]
/** A mesh with jobs that wait for their window does not converge: then it has had so long. */
const SETTLE = '10s'

type Of<Key extends string> = Extract<TestDocument, { readonly [K in Key]: unknown }>

for (const file of FILES) {
  const topology = topologyOf(shippedText(file.replace('.yaml', '')))
  describe(file, () => {
    const started = new AsyncDisposableStack()
    let mesh: MeshProcess
    beforeAll(async () => {
      mesh = started.use(await startMesh({ file }))
    })
    afterAll(() => started.disposeAsync())

    for (const [number, promise] of topology.tests.entries()) {
      // Its own repository: what an earlier test left must not answer for this one.
      const renamed = (text: string) => alike(topology, text, number)
      if ('from' in promise) {
        test(promise.name, ({ skip }) => checkReach(mesh, topology, promise, renamed, skip))
      } else if ('pull' in promise) {
        test(promise.name, () => checkPull(mesh, topology, promise, renamed))
      } else if ('push' in promise) {
        test(promise.name, () => checkPush(mesh, topology, promise, number))
      } else if ('path' in promise) {
        test(promise.name, () => checkPath(mesh, promise))
      } else {
        test.skip(`${promise.name}: a lint is a question to the file, not to the mesh`)
      }
    }
  })
}

async function checkReach(
  mesh: MeshProcess,
  topology: Topology,
  promise: Of<'from'>,
  renamed: (image: string) => Image,
  skip: (why: string) => void,
): Promise<void> {
  const { from, image: text, platform, down = [] } = promise
  const image = renamed(text)
  const question: Question = {
    ...image,
    from: from as NodeName,
    down: down as NodeName[],
  }
  const reaches = reachOf(topology, question)
  const skipped: string[] = []
  await without(mesh, down, async () => {
    const index = indexOf(`${image.repository} ${promise.name}`)
    if (reaches.writer !== undefined) {
      await pushImage(mesh.node(from).url, image.repository, image.tag, index)
    }
    for (const name of [...(promise.present ?? []), ...reachedBy(promise, reaches.nodes)]) {
      const reach = reaches.nodes.get(name as NodeName)
      if (reach !== undefined && waitsForWindow(topology, reaches.nodes, reach)) {
        skipped.push(`${name} waits for its window`)
        continue
      }
      await untilPresent(mesh.node(name), topology, { question, platform, index })
    }
    const gone = [...(promise.notPresent ?? []), ...(promise.absent ?? [])]
    if (gone.length > 0) settle(mesh, down)
    for (const name of gone) {
      if (down.includes(name)) continue
      const node = mesh.node(name)
      for (const part of partsOf(index, platform)) expect(isOnDisk(node, part)).toBe(false)
    }
    for (const name of promise.absent ?? []) {
      if (down.includes(name)) continue
      expect(await digestAt(mesh.node(name).url, image.repository, image.tag)).toBeUndefined()
    }
    for (const name of promise.available ?? []) {
      const { url } = mesh.node(name)
      // As clients do: the tag first, which says what its parts are.
      await eventually(
        async () => (await digestAt(url, image.repository, image.tag)) === index.digest,
      )
      await comparePull(url, image.repository, image.tag, index)
    }
  })
  if (skipped.length > 0) skip(skipped.join(', '))
}

/** With `maxHops`: everybody that it comes to by itself. */
function reachedBy(
  { maxHops }: Of<'from'>,
  nodes: ReadonlyMap<NodeName, Reach>,
): readonly string[] {
  if (maxHops === undefined) return []
  return [...nodes].flatMap(([name, { kind }]) => (kind === 'present' ? [name] : []))
}

/** The tag is shown, and the bytes are there of every platform that it takes. */
async function untilPresent(
  node: NodeProcess,
  topology: Topology,
  asked: {
    readonly question: Question
    readonly platform: string | undefined
    readonly index: TestManifest
  },
): Promise<void> {
  const { question, platform, index } = asked
  const platforms = platform === undefined ? PLATFORMS : [known(platform)]
  const taken = platforms.filter((one) => {
    const reaches = reachOf(topology, { ...question, platform: one })
    return reaches.nodes.get(node.name as NodeName)?.kind === 'present'
  })
  expect(taken).not.toEqual([])
  const { repository, tag } = question
  await eventually(async () => (await digestAt(node.url, repository, tag)) === index.digest)
  for (const one of taken) {
    for (const part of partsOf(index, one)) expect(isOnDisk(node, part)).toBe(true)
  }
}

async function checkPull(
  mesh: MeshProcess,
  topology: Topology,
  promise: Of<'pull'>,
  renamed: (image: string) => Image,
): Promise<void> {
  const { pull, down = [], expect: expected } = promise
  const image = renamed(pull.image)
  const writer = writersOf(topology, image)[0] ?? ''
  const index = indexOf(`${image.repository} ${promise.name}`)
  await pushImage(mesh.node(writer).url, image.repository, image.tag, index)
  const question = { ...image, from: writer as NodeName }
  const { nodes } = reachOf(topology, question)
  const node = mesh.node(pull.node)
  for (const [name, reach] of nodes) {
    if (reach.kind !== 'present' || waitsForWindow(topology, nodes, reach)) continue
    await untilPresent(mesh.node(name), topology, { question, platform: undefined, index })
  }
  // What comes in a window is there before anything goes down: pushed where it is held.
  const held = nodes.get(pull.node as NodeName)
  if (held !== undefined && waitsForWindow(topology, nodes, held)) return
  await without(mesh, down, async () => {
    const shown = await digestAt(node.url, image.repository, image.tag)
    expect(shown).toBe(expected === 'absent' ? undefined : index.digest)
    if (expected === 'absent') return
    if (expected === 'local') {
      const [child] = index.children.filter((one) =>
        one.blobs.every((blob) => isOnDisk(node, blob.digest)),
      )
      expect(child).toBeDefined()
      if (child !== undefined) await comparePull(node.url, image.repository, child.digest, child)
    } else await comparePull(node.url, image.repository, image.tag, index)
  })
}

async function checkPush(
  mesh: MeshProcess,
  topology: Topology,
  { push, expect: expected }: Of<'push'>,
  number: number,
): Promise<void> {
  const { url } = mesh.node(push.node)
  const begin = `${url}/v2/${push.repo}/blobs/uploads/`
  const { status } = await fetch(begin, { method: 'POST', redirect: 'manual' })
  const statuses = { accepted: 202, proxied: 202, rejected: 403, redirected: 307 }
  expect(status).toBe(statuses[expected])
  if (expected === 'rejected' || expected === 'redirected') return
  const image = makeImage(`${push.repo} ${number}`)
  await pushImage(url, push.repo, `push-${number}`, image)
  const end = pushEnd(topology, push.node as NodeName, push.repo as Image['repository'])
  const at = end.kind === 'rejected' ? undefined : end.at
  expect(await digestAt(mesh.node(at ?? '').url, push.repo, `push-${number}`)).toBe(image.digest)
}

async function checkPath(mesh: MeshProcess, { path, via }: Of<'path'>): Promise<void> {
  const { neighbours } = await statusOf(mesh.node(path.to))
  expect(neighbours.map(({ name }) => name).includes(path.from)).toBe(via.length === 0)
}

/** Another repository for which the file says the same. */
function alike(topology: Topology, text: string, number: number): Image {
  const image = imageOf(text)
  if (image === undefined) throw new Error(`${text} is no image`)
  const named = (suffix: string) => ({
    ...image,
    repository: `${image.repository}${suffix}` as Image['repository'],
  })
  const candidates = [`-${number}`, `/t${number}`].map(named)
  return candidates.find((one) => classOf(topology, one) === classOf(topology, image)) ?? image
}

async function without(
  mesh: MeshProcess,
  down: readonly string[],
  act: () => Promise<void>,
): Promise<void> {
  await Promise.all(down.map((name) => mesh.node(name).stop()))
  try {
    await act()
  } finally {
    await Promise.all(down.map((name) => mesh.node(name).start()))
  }
}

/** Everything that comes by itself has come. */
function settle(mesh: MeshProcess, down: readonly string[]): void {
  const asked = mesh.nodes.find(({ name }) => !down.includes(name))
  if (asked === undefined) throw new Error('every node is down')
  const gone = down.length === 0 ? [] : ['--without', ...down]
  entrepot('converged', '--url', asked.url, '--wait', '--timeout', SETTLE, ...gone)
}

function indexOf(seed: string): TestManifest {
  return makeIndex(PLATFORMS.map((platform) => makeImage(`${seed} ${platform}`)))
}

/** Digests of the layers of one platform's image, or of all. */
function partsOf(index: TestManifest, platform?: string): readonly string[] {
  const children =
    platform === undefined ? index.children : [index.children[PLATFORMS.indexOf(known(platform))]]
  return children
    .flatMap((child) => (child === undefined ? [] : manifestsOf(child)))
    .flatMap(({ blobs }) => blobs.map(({ digest }) => digest))
}

function known(platform: string): string {
  return PLATFORMS.includes(platform) ? platform : (LAST ?? '')
}

/** Whether a step of its way waits for hours that are not now. */
function waitsForWindow(
  topology: Topology,
  nodes: ReadonlyMap<NodeName, Reach>,
  { path }: Reach,
): boolean {
  return path.some((name) => {
    const { windows = [] } = nodes.get(name)?.demand ?? {}
    const timeZone = topology.nodes.get(name)?.timeZone ?? 'UTC'
    return windows.length > 0 && !windows.some((one) => one.at(Date.now(), timeZone).isOpen)
  })
}

function writersOf({ origins }: Topology, { repository }: Image): readonly string[] {
  return origins.find((origin) => origin.matches(repository))?.writers ?? []
}

function isOnDisk({ dataDirectory }: NodeProcess, digest: string): boolean {
  const hex = digest.slice('sha256:'.length)
  const blobs = join(dataDirectory, 'docker/registry/v2/blobs/sha256')
  return existsSync(join(blobs, hex.slice(0, 2), hex, 'data'))
}

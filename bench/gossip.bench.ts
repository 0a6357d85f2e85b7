/**
 * Speed of agreement: the seven nodes of topologies/hierarchical.yaml, from the beginning of a push at the hub until the tag
 * shows at the last of four edges; a burst of tags; a node that was away; a mesh without news. Beside it `skopeo sync` in a
 * loop from a docker-registry to four others. Run: node bench/gossip.bench.ts [--pushes N] [--burst N] [--away N] [--json FILE]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { statusOf } from '../test/helpers/admin-calls.ts'
import { eventually } from '../test/helpers/eventually.ts'
import { makeImage, type TestManifest } from '../test/helpers/images.ts'
import { type MeshProcess, startMesh } from '../test/helpers/mesh-process.ts'
import { canMakeNamespaces, makeNamespaces, type Namespaces } from '../test/helpers/namespaces.ts'
import { digestAt } from '../test/helpers/registry-calls.ts'
import { MIB, REPOSITORY } from './corpus.ts'
import { cpuSeconds, median, quantile, residentMiB, short, writeJson } from './measure.ts'
import { openPusher } from './pusher.ts'
import { startSyncLoop } from './sync-loop.ts'
import { watchVisible } from './visible.ts'

const { values } = parseArgs({
  options: {
    pushes: { type: 'string', default: '200' },
    burst: { type: 'string', default: '1000' },
    away: { type: 'string', default: '10000' },
    'quiet-seconds': { type: 'string', default: '60' },
    'peer-pushes': { type: 'string', default: '20' },
    json: { type: 'string' },
  },
})
const EDGES = ['eu-1', 'eu-2', 'us-1', 'us-2']
const NODES = ['hub', 'eu', 'us', ...EDGES]
/** Pushers side by side in a burst: as many as a busy pipeline has. */
const PUSHERS = 8
/** Milliseconds: catching up with ten thousand changes on a slow machine takes a part of it. */
const CATCH_UP_MS = 600_000
const flags = ['--log-level', 'warn']
const small = (seed: string) => makeImage(seed, { layers: 1, layerBytes: 1_024 })

const times = (ms: readonly number[]) => ({
  p50Ms: short(median(ms)),
  p99Ms: short(quantile(ms, 0.99)),
  maxMs: short(Math.max(...ms)),
})
const cpuOf = (mesh: MeshProcess) =>
  Object.fromEntries(mesh.nodes.map(({ name, pid }) => [name, cpuSeconds(pid ?? 0)]))

/** Processor seconds a node spent between two looks. */
function spent(mesh: MeshProcess, before: Readonly<Record<string, number>>, share = 1) {
  const after = cpuOf(mesh)
  return Object.fromEntries(
    Object.entries(after).map(([name, seconds]) => [
      name,
      short((seconds - (before[name] ?? 0)) / share),
    ]),
  )
}

/** Runs `push` for each item, so many at once. */
async function sideBySide<T>(items: readonly T[], push: (item: T, lane: number) => Promise<void>) {
  const left = [...items]
  const lane = async (at: number) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await push(item, at)
  }
  await Promise.all(Array.from({ length: PUSHERS }, (_, at) => lane(at)))
}

async function onLoopback() {
  await using mesh = await startMesh({ file: 'hierarchical.yaml' }, { flags })
  const idleMiB = short(median(mesh.nodes.map(({ pid }) => residentMiB(pid ?? 0))))
  const hub = mesh.node('hub')
  await using visible = await watchVisible(EDGES.map((edge) => mesh.node(edge).url))
  await using pusher = openPusher(hub.url, REPOSITORY)

  const toLastEdge = async (image: TestManifest, tag: string) => {
    const start = performance.now()
    await pusher.image(image, tag)
    await visible.everywhere(image.digest)
    return performance.now() - start
  }
  // Caches and just-in-time code everywhere.
  for (let at = 0; at < 10; at += 1) await toLastEdge(small(`warm-up ${at}`), `v0.${at}`)
  const one: number[] = []
  const before = cpuOf(mesh)
  for (let at = 0; at < Number(values.pushes); at += 1)
    one.push(await toLastEdge(small(`one ${at}`), `v1.${at}`))
  const cpuPerPush = spent(mesh, before, one.length)
  const large: number[] = []
  for (let at = 0; at < 3; at += 1) {
    large.push(
      await toLastEdge(makeImage(`large ${at}`, { layers: 1, layerBytes: 256 * MIB }), `v2.${at}`),
    )
  }

  const images = Array.from({ length: Number(values.burst) }, (_, at) => small(`burst ${at}`))
  const pushers = images.slice(0, PUSHERS).map(() => openPusher(hub.url, REPOSITORY))
  const beforeBurst = cpuOf(mesh)
  const start = performance.now()
  await sideBySide([...images.entries()], async ([at, image], lane) =>
    pushers[lane]?.image(image, `v3.${at}`),
  )
  const pushedMs = performance.now() - start
  await Promise.all(images.map(({ digest }) => visible.everywhere(digest)))
  const convergedMs = performance.now() - start
  const burst = {
    tags: images.length,
    pushedS: short(pushedMs / 1_000),
    convergedS: short(convergedMs / 1_000),
    tagsPerS: short((images.length / convergedMs) * 1_000),
    cpuMsPerTag: spent(mesh, beforeBurst, images.length / 1_000),
  }
  for (const one_ of pushers) await one_[Symbol.asyncDispose]()
  return { idleMiB, push2KiB: times(one), cpuSPerPush: cpuPerPush, push256MiB: times(large), burst }
}

/** In network namespaces where they can be made, so that bytes on the wire are counted. */
async function awayAndQuiet() {
  await using parts = new AsyncDisposableStack()
  const network: Namespaces | undefined = canMakeNamespaces
    ? parts.use(makeNamespaces(NODES))
    : undefined
  const place = network === undefined ? {} : { place: network.place }
  const mesh = parts.use(
    await startMesh(
      { file: 'hierarchical.yaml' },
      { flags: [...flags, '--anonymous', 'push'], ...place },
    ),
  )
  const [hub, away] = [mesh.node('hub'), mesh.node('us-2')]
  const bytesAt = (name: string) => network?.receivedBytes(name)
  const since = (name: string, start: number | undefined) =>
    start === undefined ? undefined : (bytesAt(name) ?? 0) - start

  // Ten images under many tags: changes, not content.
  const images = Array.from({ length: 10 }, (_, at) => small(`away ${at}`))
  const changes = Array.from({ length: Number(values.away) }, (_, at) => at)
  const pushers = Array.from({ length: PUSHERS }, () => openPusher(hub.url, REPOSITORY))
  for (const [at, image] of images.entries()) await pushers[0]?.image(image, `v0.${at}`)
  await eventually(async () => (await digestAt(away.url, REPOSITORY, 'v0.9')) === images[9]?.digest)
  await away.stop()
  await sideBySide(changes, async (at, lane) =>
    pushers[lane]?.tag(images[at % 10] as TestManifest, `v${at + 1}`),
  )
  const near = mesh.node('us-1')
  const last = changes.map((at) => `v${at + 1}`).slice(-PUSHERS)
  const hasLast = async (url: string) =>
    (await Promise.all(last.map((tag) => digestAt(url, REPOSITORY, tag)))).every(
      (digest) => digest !== undefined,
    )
  await eventually(() => hasLast(near.url), { timeoutMs: CATCH_UP_MS })
  const bytesBefore = bytesAt('us-2')
  await away.start()
  const start = performance.now()
  const count = async () => (await statusOf(away)).feed.head >= (await statusOf(near)).feed.head - 2
  await eventually(async () => (await hasLast(away.url)) && count(), { timeoutMs: CATCH_UP_MS })
  const catchUp = {
    changes: changes.length,
    seconds: short((performance.now() - start) / 1_000),
    receivedMiB: mib(since('us-2', bytesBefore)),
    cpuS: short(cpuSeconds(away.pid ?? 0)),
  }
  for (const one of pushers) await one[Symbol.asyncDispose]()

  const seconds = Number(values['quiet-seconds'])
  await delay(5_000)
  const bytes = NODES.map((name) => bytesAt(name))
  const before = cpuOf(mesh)
  await delay(seconds * 1_000)
  const perMinute = seconds / 60
  const quiet = {
    cpuSPerMinute: spent(mesh, before, perMinute),
    receivedKiBPerMinute: Object.fromEntries(
      NODES.map((name, at) => [name, kib(since(name, bytes[at]), perMinute)]),
    ),
  }
  return { catchUp, quiet }
}

const mib = (bytes: number | undefined) => (bytes === undefined ? '-' : short(bytes / MIB))
const kib = (bytes: number | undefined, share: number) =>
  bytes === undefined ? '-' : short(bytes / 1_024 / share)

/** The same push with docker-registry and `skopeo sync`. */
async function bySkopeo(directory: string) {
  await using loop = await startSyncLoop(directory, { repository: REPOSITORY, edges: EDGES.length })
  if (loop === undefined) return undefined
  await using pusher = openPusher(loop.hub.url, REPOSITORY)
  const one: number[] = []
  for (let at = 0; at < Number(values['peer-pushes']); at += 1) {
    const image = small(`skopeo ${at}`)
    const start = performance.now()
    await pusher.image(image, `v1.${at}`)
    await loop.everywhere(`v1.${at}`, image.digest)
    one.push(performance.now() - start)
  }
  return { push2KiB: times(one) }
}

const directory = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
await using cleaning = new AsyncDisposableStack()
cleaning.defer(() => rm(directory, { recursive: true, force: true }))
const skopeo = await bySkopeo(directory)
const mesh = await onLoopback()
const rest = await awayAndQuiet()
const report = {
  entrepot: { ...mesh, ...rest },
  'skopeo sync': skopeo ?? 'skopeo or docker-registry is missing',
}
console.log(`resident memory of an idle node: ${mesh.idleMiB} MiB`)
console.table({
  'push of 2 KiB to the last edge': mesh.push2KiB,
  'push of 256 MiB to the last edge': mesh.push256MiB,
  ...(skopeo === undefined ? {} : { 'push of 2 KiB, skopeo sync': skopeo.push2KiB }),
})
console.log(
  JSON.stringify({ cpuSPerPush: mesh.cpuSPerPush, burst: mesh.burst, ...rest }, undefined, 2),
)
writeJson(values.json, report)

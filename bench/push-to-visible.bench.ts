/**
 * Time from the beginning of a push at the hub until the tag is visible at the last edge: the seven nodes of
 * topologies/hierarchical.yaml on loopback, a small and a large image. Run: node bench/push-to-visible.bench.ts [--json]
 */
import { parseArgs } from 'node:util'
import { type LiveEvent, readEvents } from '../src/cli/live-events.ts'
import { statusOf } from '../test/helpers/admin-calls.ts'
import { makeImage, type TestManifest } from '../test/helpers/images.ts'
import { type MeshProcess, startMesh } from '../test/helpers/mesh-process.ts'
import { pushImage } from '../test/helpers/registry-calls.ts'
import { median, residentMiB } from './measure.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '5' } },
})
const EDGES = ['eu-1', 'eu-2', 'us-1', 'us-2']
const SIZES: readonly (readonly [string, number])[] = [
  ['2 KiB', 1_024],
  ['256 MiB', 256 * 1024 * 1024],
]
/** Milliseconds from the beginning of the push until the last edge said that the tag is visible. */
async function measure(mesh: MeshProcess, tag: string, image: TestManifest): Promise<number> {
  const over = new AbortController()
  const watches = EDGES.map((edge) => watch(mesh.node(edge).url, image.digest, over.signal))
  await Promise.all(watches.map(({ listening }) => listening))
  const start = performance.now()
  await pushImage(mesh.node('hub').url, 'demo/app', tag, image)
  await Promise.all(watches.map(({ visible }) => visible))
  const ms = performance.now() - start
  over.abort()
  return ms
}

/** Follows an edge's live stream, so that asking again and again does not load what is measured. */
function watch(url: string, digest: string, signal: AbortSignal) {
  const listening = Promise.withResolvers<void>()
  const visible = Promise.withResolvers<void>()
  const onEvent = ({ event, data }: LiveEvent) => {
    if (event === 'snapshot') listening.resolve()
    const isIt = (data as { readonly digest?: string }).digest === digest
    if (event === 'visible-changed' && isIt) visible.resolve()
  }
  readEvents(url, onEvent, { signal }).catch(visible.reject)
  return { listening: listening.promise, visible: visible.promise }
}

await using mesh = await startMesh(
  { file: 'hierarchical.yaml' },
  { flags: ['--log-level', 'warn'] },
)
const idleMiB = median(mesh.nodes.map(({ pid }) => residentMiB(pid ?? 0)))
const results: Record<string, object> = {}
// The first push warms caches and just-in-time code everywhere: not counted.
await measure(mesh, 'v0.0', makeImage('warm-up'))
for (const [name, bytes] of SIZES) {
  const times: number[] = []
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const tag = `v${bytes}.${round}`
    const image = makeImage(tag, { layers: 1, layerBytes: bytes })
    times.push(await measure(mesh, tag, image))
  }
  results[name] = {
    medianMs: Math.round(median(times)),
    minMs: Math.round(Math.min(...times)),
    maxMs: Math.round(Math.max(...times)),
  }
}
const { counters } = await statusOf(mesh.node('us-2'))
const report = {
  idleResidentMiB: Math.round(idleMiB),
  pushToLastEdge: results,
  blobsFetchedAtOneEdge: counters.blobsFetched,
}
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else {
  console.log(
    `resident memory of an idle node: ${report.idleResidentMiB} MiB (median of ${mesh.nodes.length})`,
  )
  console.table(results)
}

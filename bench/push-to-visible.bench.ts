/**
 * Time from the beginning of a push at the hub until the tag is visible at the last edge: the seven nodes of
 * topologies/hierarchical.yaml on loopback, a small and a large image. Run: node bench/push-to-visible.bench.ts [--json]
 */
import { parseArgs } from 'node:util'
import { statusOf } from '../test/helpers/admin-calls.ts'
import { makeImage, type TestManifest } from '../test/helpers/images.ts'
import { type MeshProcess, startMesh } from '../test/helpers/mesh-process.ts'
import { digestAt, pushImage } from '../test/helpers/registry-calls.ts'
import { median, residentMiB } from './measure.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '5' } },
})
const EDGES = ['eu-1', 'eu-2', 'us-1', 'us-2']
const SIZES: readonly (readonly [string, number])[] = [
  ['2 KiB', 1_024],
  ['256 MiB', 256 * 1024 * 1024],
]
/** Between two looks at an edge, milliseconds: the resolution of the result. */
const LOOK_MS = 2

async function measure(mesh: MeshProcess, tag: string, image: TestManifest): Promise<number> {
  const start = performance.now()
  const pushing = pushImage(mesh.node('hub').url, 'demo/app', tag, image)
  await Promise.all(EDGES.map((edge) => untilVisible(mesh.node(edge).url, tag, image.digest)))
  const ms = performance.now() - start
  await pushing
  return ms
}

async function untilVisible(url: string, tag: string, digest: string): Promise<void> {
  while ((await digestAt(url, 'demo/app', tag)) !== digest) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

await using mesh = await startMesh(
  { file: 'hierarchical.yaml' },
  { flags: ['--log-level', 'warn'] },
)
const idleMiB = median(mesh.nodes.map(({ pid }) => residentMiB(pid ?? 0)))
const results: Record<string, object> = {}
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

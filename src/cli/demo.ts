/** The demo: push a small image at its writer, show how it reaches every node, and say how to go on by hand. */
import type { JobView } from '../events/mesh-event.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { systemClock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { writersOf } from '../topology/origins.ts'
import { comparePulled, pushDemoImage } from './demo-client.ts'
import { type DemoImage, makeDemoImage } from './demo-image.ts'
import { createDisplay, levelLines, type NodeProgress } from './display.ts'
import { readEvents } from './live-events.ts'
import type { LocalMesh, LocalNode } from './local-mesh.ts'
import { nextSteps } from './next-steps.ts'
import { print } from './output.ts'
import { spreadOf } from './spread.ts'

const REPOSITORY = 'demo/hello' as RepositoryName
const TAG = 'v1.0.0' as Tag
/** Enough to see bytes move, little enough to be there at once. */
const PAYLOAD_BYTES = 8 * 1024 * 1024
/** On one machine it takes about a second; a minute means that something is wrong, milliseconds. */
const PATIENCE_MS = 60_000
const DRAW_MS = 100

export interface DemoOptions {
  /** The demo is all that is wanted: nobody will type anything after it. */
  readonly once: boolean
  /** Aborted when the mesh is being stopped. */
  readonly signal: AbortSignal
}

interface Spread {
  readonly image: DemoImage
  readonly writer: LocalNode
  readonly nodes: readonly NodeProgress[]
}

/** @returns whether every node that the tag may reach has it, and an edge gave back the same bytes. */
export async function runDemo(mesh: LocalMesh, { once, signal }: DemoOptions): Promise<boolean> {
  const names = writersOf(mesh.topology, REPOSITORY)
  const writer = mesh.nodes.find(({ name }) => name === names[0])
  if (writer === undefined) {
    print(`No node of this topology may write ${REPOSITORY}: there is nothing to show.`)
    return false
  }
  const item = { repository: REPOSITORY, reference: TAG }
  const levels = await spreadOf(mesh.topology, writer.name, item)
  const nodes = [...levels].map(([name, level]) => progressOf(name, level))
  const image = await makeDemoImage({ payloadBytes: PAYLOAD_BYTES })
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
  const farthest = nodes.toSorted((a, b) => a.level - b.level).at(-1)
  const edge = mesh.nodes.find(({ name }) => name === farthest?.name) ?? writer
  try {
    await show(mesh, { image, writer, nodes }, patience)
    const bytes = await comparePulled(edge.url, REPOSITORY, TAG, image, { signal: patience })
    const parts = image.blobs.length + 1
    print(`\nPulled back from ${edge.name}: ${bytesText(bytes)} in ${parts} parts, all the same.`)
  } catch (err) {
    if (signal.aborted) return false
    if (once || !patience.aborted) throw err
    print(`\nNot at every node after ${PATIENCE_MS / 1000} s; the logs are beside the content.`)
    return false
  }
  const [pushUrl, pullUrl] = [writer.url, edge.url]
  if (!once) print(nextSteps({ pushUrl, pullUrl, repository: REPOSITORY, tag: TAG }))
  return true
}

/** Pushes, and draws until every node shows the tag. @throws the signal's reason when it does not come to that. */
async function show(
  mesh: LocalMesh,
  { image, writer, nodes }: Spread,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const start = { atMs: Number.POSITIVE_INFINITY }
  const elapsed = () => Math.max(0, Math.round(performance.now() - start.atMs))
  const reading = AbortSignal.any([signal, over.signal])
  const size = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const watched = mesh.nodes.flatMap(({ name, url }) => {
    const node = nodes.find((one) => one.name === name)
    return node === undefined
      ? []
      : [watch(node, url, { digest: image.manifest.digest, size }, elapsed, reading)]
  })
  try {
    // Nobody may miss the news: the push begins when every stream has told the present state.
    await Promise.all(watched)
    print(`\nPushing ${REPOSITORY}:${TAG} (${bytesText(size)}) at ${writer.name}`)
    const display = createDisplay(process.stdout)
    start.atMs = performance.now()
    const pushed = pushDemoImage(writer.url, REPOSITORY, TAG, image, { signal })
    let failure: unknown
    pushed.catch((err: unknown) => {
      failure = err ?? new Error('push failed')
    })
    while (nodes.some(({ visibleAfterMs }) => visibleAfterMs === undefined)) {
      if (failure !== undefined) await pushed
      display.draw(nodes, elapsed())
      await systemClock.sleep(DRAW_MS, { signal })
    }
    await pushed
    display.draw(nodes, elapsed())
  } finally {
    over.abort()
  }
  print('\nTime from the beginning of the push until the tag was visible')
  for (const line of levelLines(nodes)) print(`  ${line}`)
}

/** Follows what a node says of the image. Resolves when it is listened to; then goes on until the signal. */
function watch(
  node: NodeProgress,
  url: string,
  { digest, size }: { readonly digest: string; readonly size: number },
  elapsed: () => number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onEvent = ({ event, data }: { readonly event: string; readonly data: unknown }) => {
      if (event === 'snapshot') resolve()
      if (event === 'job-changed') noteJob(node, (data as { job: JobView }).job, digest, elapsed())
      if (event !== 'visible-changed' || (data as { digest?: string }).digest !== digest) return
      node.visibleAfterMs ??= elapsed()
      // What was here before need not come over a link: the tag is visible, so all of it is here.
      node.bytesDone = size
      node.bytesTotal = size
    }
    readEvents(url, onEvent, { signal }).then(
      () => reject(new Error(`node ${node.name} ended its live stream`)),
      (err: unknown) =>
        reject(new Error(`the live stream of ${node.name} broke: ${messageOf(err)}`)),
    )
  })
}

function noteJob(node: NodeProgress, job: JobView, digest: string, afterMs: number): void {
  if (job.digest !== digest) return
  node.bytesDone = Math.max(node.bytesDone, job.bytesDone)
  node.bytesTotal = job.bytesTotal ?? node.bytesTotal
  if (job.bytesDone > 0) node.firstByteAfterMs ??= afterMs
}

function progressOf(name: string, level: number): NodeProgress {
  return {
    name,
    level,
    bytesDone: 0,
    bytesTotal: undefined,
    visibleAfterMs: undefined,
    firstByteAfterMs: undefined,
  }
}

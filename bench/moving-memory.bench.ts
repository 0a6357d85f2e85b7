/**
 * Resident memory of a node: idle, with 8 blobs of 1 GiB coming in by push at once, with the 8 going out at once, and of a
 * second node that fetches them. Run: node bench/moving-memory.bench.ts [--mib N] [--json FILE]
 */
import { createCipheriv } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { Agent, request } from 'undici'
import { createHasher, type Digest, digestOf } from '../src/oci/digest.ts'
import { eventually } from '../test/helpers/eventually.ts'
import { OCI_MANIFEST, type TestManifest } from '../test/helpers/images.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import { digestAt } from '../test/helpers/registry-calls.ts'
import { MIB } from './corpus.ts'
import { peakResidentMiB, residentMiB, writeJson } from './measure.ts'
import { openPusher } from './pusher.ts'

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '1024' }, json: { type: 'string' } },
})
const BLOBS = 8
const REPOSITORY = 'demo/moving'
const size = Number(values.mib) * MIB
/** Milliseconds, for the second node to have it all. */
const FETCH_TIMEOUT_MS = 600_000

/** The nth blob, made as it is sent: a key stream of its own. */
function* chunksOf(n: number): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, n + 1), Buffer.alloc(16))
  const zeros = Buffer.alloc(MIB)
  for (let at = 0; at < size; at += MIB) yield cipher.update(zeros)
}

function digestNumber(n: number): Digest {
  const hasher = createHasher()
  for (const chunk of chunksOf(n)) hasher.update(chunk)
  return hasher.digest()
}

/** Peak since now: the kernel forgets the old one. */
function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

const numbers = Array.from({ length: BLOBS }, (_, n) => n)
const digests = numbers.map(digestNumber)
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 })

async function push(url: string, n: number): Promise<void> {
  const begun = await request(`${url}/v2/${REPOSITORY}/blobs/uploads/`, {
    method: 'POST',
    dispatcher,
  })
  await begun.body.dump()
  const location = `${url}${String(begun.headers.location)}`
  const body = Readable.from(chunksOf(n))
  const sent = await request(location, { method: 'PATCH', body, dispatcher })
  await sent.body.dump()
  const done = await request(`${location}?digest=${digests[n]}`, { method: 'PUT', dispatcher })
  if (done.statusCode !== 201) throw new Error(`push: ${done.statusCode} ${await done.body.text()}`)
  await done.body.dump()
}

async function pull(url: string, n: number): Promise<void> {
  const answer = await request(`${url}/v2/${REPOSITORY}/blobs/${digests[n]}`, { dispatcher })
  let received = 0
  for await (const chunk of answer.body) received += (chunk as Uint8Array).length
  if (received !== size) throw new Error(`pulled ${received} bytes, not ${size}`)
}

/** One image for two of the blobs: several images at once make a node fetch that many blobs at once. */
function imageOf(layers: readonly Digest[], config: TestManifest['blobs'][number]): TestManifest {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: config.mediaType, digest: config.digest, size: config.bytes.length },
    layers: layers.map((digest) => ({ mediaType, digest, size })),
  }
  const bytes = Buffer.from(JSON.stringify(document))
  return { digest: digestOf(bytes), mediaType: OCI_MANIFEST, bytes, blobs: [config], children: [] }
}

await using mesh = await startMesh(
  { file: 'master-slave.yaml' },
  { start: ['hq', 'lon'], flags: ['--log-level', 'warn'] },
)
const { url, pid = 0 } = mesh.node('hq')
const second = mesh.node('lon')
const idle = residentMiB(pid)

async function peakWhile(of: number, work: () => Promise<unknown>) {
  forgetPeak(of)
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  return {
    peakMiB: Math.round(peakResidentMiB(of)),
    MBperSecond: Math.round((BLOBS * size) / 1e6 / seconds),
  }
}

const pushed = await peakWhile(pid, () => Promise.all(numbers.map((n) => push(url, n))))
const pulled = await peakWhile(pid, () => Promise.all(numbers.map((n) => pull(url, n))))
const fetched = await peakWhile(second.pid ?? 0, async () => {
  await using pusher = openPusher(url, REPOSITORY)
  const bytes = Buffer.from('{"architecture":"amd64","os":"linux"}')
  const mediaType = 'application/vnd.oci.image.config.v1+json'
  const config = { digest: digestOf(bytes), mediaType, bytes }
  for (let n = 0; n < BLOBS; n += 2) {
    await pusher.image(imageOf(digests.slice(n, n + 2), config), `v${n}`)
  }
  for (let n = 0; n < BLOBS; n += 2) {
    const isThere = async () => (await digestAt(second.url, REPOSITORY, `v${n}`)) !== undefined
    await eventually(isThere, { timeoutMs: FETCH_TIMEOUT_MS })
  }
})
await dispatcher.close()

const rows = {
  idle: { peakMiB: Math.round(idle) },
  [`${BLOBS} x ${values.mib} MiB pushed at once`]: pushed,
  [`${BLOBS} x ${values.mib} MiB pulled at once`]: pulled,
  [`${BLOBS} x ${values.mib} MiB fetched by a second node`]: fetched,
}
console.table(rows)
writeJson(values.json, { benchmark: 'moving-memory', rows })

/**
 * A blob of 256 MiB from a running node to this process's disk, verified and durable, as a node fetches it; against `curl` to a
 * file, then `openssl dgst`, then fsync. Run: node bench/node-to-node.bench.ts [--rounds N] [--mib N] [--json FILE]
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hexOf } from '../src/oci/digest.ts'
import type { RepositoryName } from '../src/oci/name.ts'
import { openDiskBlobStore } from '../src/storage/disk-blob-store.ts'
import type { NodeName } from '../src/topology/topology.ts'
import { createMeteredSource } from '../src/transfer/metered-source.ts'
import { pullBlob } from '../src/transfer/pull-blob.ts'
import { createRegistryClient } from '../src/transfer/registry-client.ts'
import { bytesOf, makeBlob } from '../test/helpers/images.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import { MIB, REPOSITORY } from './corpus.ts'
import { short, spreadOf, writeJson } from './measure.ts'
import { openPusher } from './pusher.ts'
import { warmPages } from './warm-pages.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '256' },
    json: { type: 'string' },
  },
})
const size = Number(values.mib) * MIB
const repository = REPOSITORY as RepositoryName
const hq = 'hq' as NodeName

await using parts = new AsyncDisposableStack()
const directory = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
parts.defer(() => rm(directory, { recursive: true, force: true }))
const flags = ['--log-level', 'warn']
const mesh = parts.use(await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'], flags }))
const { url } = mesh.node('hq')
const { digest } = await push()
const blobs = await openDiskBlobStore({ directory })
const client = parts.use(createRegistryClient({ connect: () => ({ endpoint: url }) }))
const source = createMeteredSource(client, { begin: () => () => {} })

/** The bytes are let go of: this process is the receiving node from now on. */
async function push() {
  await using pusher = openPusher(url, repository)
  const blob = makeBlob(bytesOf('node to node', size))
  await pusher.layer(blob)
  return { digest: blob.digest }
}

async function viaNode(): Promise<void> {
  const deps = { source, blobs, onAttempt: () => {}, onFetched: () => {} }
  const blob = { digest, size, mediaType: 'application/octet-stream' }
  const options = { signal: new AbortController().signal, onProgress: () => {} }
  const outcome = await pullBlob(deps, { repository, sources: [hq], blob } as never, options)
  if (outcome.kind !== 'pulled') throw new Error(`not pulled: ${JSON.stringify(outcome)}`)
}

const file = join(directory, 'curl')
function viaCurl(): void {
  execFileSync('curl', ['-sSf', '-o', file, `${url}/v2/${repository}/blobs/${digest}`])
  const text = execFileSync('openssl', ['dgst', '-sha256', file], { encoding: 'utf8' })
  if (!text.trim().endsWith(hexOf(digest))) throw new Error(`curl got other bytes: ${text}`)
  execFileSync('sync', [file])
}

async function seconds(work: () => void | Promise<void>): Promise<number> {
  warmPages()
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

const times = { node: [] as number[], curl: [] as number[] }
for (let round = 0; round <= Number(values.rounds); round += 1) {
  const curl = await seconds(viaCurl)
  await rm(file)
  const node = await seconds(viaNode)
  await blobs.delete(digest)
  // The first round warms caches and just-in-time code.
  if (round === 0) continue
  times.curl.push(curl)
  times.node.push(node)
}
const rate = (list: readonly number[]) => spreadOf(list.map((one) => size / 1e6 / one))
const [curl, node] = [rate(times.curl), rate(times.node)]
const report = {
  'node to node': { ...node, ratio: short(node.median / curl.median) },
  'curl, openssl dgst, fsync': { ...curl, ratio: 1 },
}
console.log(`${values.mib} MiB, MB/s; ratio = node / curl`)
console.table(
  Object.fromEntries(
    Object.entries(report).map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, short(value)])),
    ]),
  ),
)
writeJson(values.json, { benchmark: 'node-to-node', mib: Number(values.mib), report })

/**
 * What TLS costs: a blob of 256 MiB read by curl over 1 and 8 connections, and fetched as a node fetches it (verified, on
 * disk), each with and without TLS in turn. Run: node bench/tls.bench.ts [--rounds N] [--mib N] [--json FILE]
 */
import { execFile, execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setDefaultCACertificates } from 'node:tls'
import { parseArgs, promisify } from 'node:util'
import { fingerprintOf } from '../src/lib/certificate.ts'
import type { RepositoryName } from '../src/oci/name.ts'
import { openDiskBlobStore } from '../src/storage/disk-blob-store.ts'
import type { NodeName } from '../src/topology/topology.ts'
import { createMeteredSource } from '../src/transfer/metered-source.ts'
import { pullBlob } from '../src/transfer/pull-blob.ts'
import { createRegistryClient } from '../src/transfer/registry-client.ts'
import { certificateFiles, makeCertificate } from '../test/helpers/certificates.ts'
import { bytesOf, makeBlob } from '../test/helpers/images.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import { pushBlob } from '../test/helpers/registry-calls.ts'
import { cpuSeconds, short, spreadOf, writeJson } from './measure.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '256' },
    json: { type: 'string' },
  },
})
const size = Number(values.mib) * 1024 ** 2
const repository = 'bench/tls' as RepositoryName
const hq = 'hq' as NodeName
const run = promisify(execFile)

await using parts = new AsyncDisposableStack()
const directory = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
parts.defer(() => rm(directory, { recursive: true, force: true }))
const certificate = makeCertificate()
const files = certificateFiles(directory, 'node')
await files.write(certificate)
setDefaultCACertificates([certificate.cert])

const quiet = ['--log-level', 'warn']
const plain = await startNode('http', quiet)
const secure = await startNode('https', [...quiet, ...files.flags])
const digest = await push()
const blobs = await openDiskBlobStore({ directory: join(directory, 'receiver') })

async function startNode(scheme: 'http' | 'https', flags: readonly string[]) {
  const mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'], scheme, flags })
  return parts.use(mesh).node(hq)
}

/** The bytes are let go of: this process is the receiving node from now on. */
async function push() {
  const blob = makeBlob(bytesOf('tls', size))
  for (const { url } of [plain, secure]) await pushBlob(url, repository, blob)
  return blob.digest
}

type Server = typeof plain

async function curl({ url }: Server, connections: number): Promise<void> {
  const blob = `${url}/v2/${repository}/blobs/${digest}`
  const args = ['-sSf', '--cacert', files.certFile, '-o', '/dev/null', blob]
  await Promise.all(Array.from({ length: connections }, () => run('curl', args)))
}

async function fetchAsNode({ url }: Server): Promise<void> {
  const fingerprints = [fingerprintOf(new X509Certificate(certificate.cert))]
  await using client = createRegistryClient({ connect: () => ({ endpoint: url, fingerprints }) })
  const source = createMeteredSource(client, { begin: () => () => {} })
  const deps = { source, blobs, onAttempt: () => {}, onFetched: () => {} }
  const blob = { digest, size, mediaType: 'application/octet-stream' }
  const options = { signal: new AbortController().signal, onProgress: () => {} }
  const outcome = await pullBlob(deps, { repository, sources: [hq], blob } as never, options)
  if (outcome.kind !== 'pulled') throw new Error(`not pulled: ${JSON.stringify(outcome)}`)
  await blobs.delete(digest)
}

const CASES = [
  { name: 'GET, 1 connection', bytes: size, work: (from: Server) => curl(from, 1) },
  { name: 'GET, 8 connections', bytes: 8 * size, work: (from: Server) => curl(from, 8) },
  { name: 'node to node', bytes: size, work: fetchAsNode },
]

interface Sample {
  readonly mbPerSecond: number
  /** Processor seconds of the serving node for 1 GB. */
  readonly cpuPerGb: number
}

async function sample(from: Server, { bytes, work }: (typeof CASES)[number]): Promise<Sample> {
  execFileSync('sync')
  const cpuBefore = cpuSeconds(from.pid ?? 0)
  const start = performance.now()
  await work(from)
  const seconds = (performance.now() - start) / 1000
  const cpu = cpuSeconds(from.pid ?? 0) - cpuBefore
  return { mbPerSecond: bytes / 1e6 / seconds, cpuPerGb: cpu / (bytes / 1e9) }
}

const report: Record<string, object> = {}
const table: Record<string, object> = {}
for (const one of CASES) {
  const samples: { http: Sample; https: Sample }[] = []
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    const both = { http: await sample(plain, one), https: await sample(secure, one) }
    // The first round warms caches and just-in-time code.
    if (round > 0) samples.push(both)
  }
  const rate = (scheme: 'http' | 'https') => spreadOf(samples.map((two) => two[scheme].mbPerSecond))
  const cpu = (scheme: 'http' | 'https') => spreadOf(samples.map((two) => two[scheme].cpuPerGb))
  const [http, https] = [rate('http'), rate('https')]
  const ratio = short(https.median / http.median)
  report[one.name] = { http, https, ratio, cpuPerGb: { http: cpu('http'), https: cpu('https') } }
  table[one.name] = {
    'http MB/s': short(http.median),
    'https MB/s': short(https.median),
    ratio,
    'node CPU s/GB': short(cpu('http').median),
    'with TLS': short(cpu('https').median),
  }
}
console.log(`${values.mib} MiB, medians of ${values.rounds}; ratio = https / http`)
console.table(table)
writeJson(values.json, { benchmark: 'tls', mib: Number(values.mib), report })

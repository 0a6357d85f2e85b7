/**
 * What a large index costs: start-up, memory, pages of lists and manifests by tag, at 100 repositories with 1,000 tags and at
 * 10,000 with 1,000,000; start-up against an empty index. Run: node bench/metadata.bench.ts [--rounds N] [--quick] [--json FILE]
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from 'undici'
import { eventually } from '../test/helpers/eventually.ts'
import { OCI_MANIFEST } from '../test/helpers/images.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import type { NodeProcess } from '../test/helpers/node-process.ts'
import {
  BIG_REPOSITORY,
  BIG_TAGS,
  fillIndex,
  type IndexSize,
  repositoryAt,
  tagAt,
} from './fill-index.ts'
import { cpuSeconds, median, residentMiB, short, spreadOf, writeJson } from './measure.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const SMALL: IndexSize = { repositories: 100, tags: 1_000 }
const LARGE: IndexSize = values.quick
  ? { repositories: 1_000, tags: 100_000 }
  : { repositories: 10_000, tags: 1_000_000 }
/** Of the topology that the node runs. */
const REALM = 'master-slave'
/** Requests of one kind in a round, one after the other. */
const REQUESTS = 200
const PAGE = 100

interface Ask {
  readonly method: 'GET' | 'HEAD'
  /** Of the nth request. */
  readonly path: (n: number, size: IndexSize) => string
  /** Names that the page must have; undefined where it is no page. */
  readonly names?: 'repositories' | 'tags'
}

/** Walks over all repositories in steps, so that no cache has seen the next one. */
const someRepository = (n: number, { repositories }: IndexSize) =>
  repositoryAt((n * 7_919) % (repositories - 1))

const ASKS: Readonly<Record<string, Ask>> = {
  'catalog, first page': {
    method: 'GET',
    path: () => `/v2/_catalog?n=${PAGE}`,
    names: 'repositories',
  },
  'catalog, page from the middle': {
    method: 'GET',
    path: (_, { repositories }) =>
      `/v2/_catalog?n=${PAGE}&last=${repositoryAt(Math.max(0, repositories / 2 - PAGE / 2))}`,
    // A hundred repositories have no whole page after their middle: theirs begins at the second, and has 98 names.
  },
  'tags, first page': {
    method: 'GET',
    path: () => `/v2/${BIG_REPOSITORY}/tags/list?n=${PAGE}`,
    names: 'tags',
  },
  'tags, second page': {
    method: 'GET',
    path: () => `/v2/${BIG_REPOSITORY}/tags/list?n=${PAGE}&last=${tagAt(BIG_TAGS - PAGE - 1)}`,
    names: 'tags',
  },
  'manifest by tag, HEAD': {
    method: 'HEAD',
    path: (n, size) => `/v2/${someRepository(n, size)}/manifests/${tagAt(n % 8)}`,
  },
  'manifest by tag, GET': {
    method: 'GET',
    path: (n, size) => `/v2/${someRepository(n, size)}/manifests/${tagAt(n % 8)}`,
  },
}

/** Median milliseconds of a request of the kind. @throws when an answer is not what it must be */
async function measure(url: string, ask: Ask, size: IndexSize, round: number): Promise<number> {
  await using closing = new AsyncDisposableStack()
  const client = closing.adopt(new Client(url), (one) => one.close())
  const times: number[] = []
  for (let n = 0; n < REQUESTS; n += 1) {
    const path = ask.path(round * REQUESTS + n, size)
    const start = performance.now()
    const answer = await client.request({
      method: ask.method,
      path,
      headers: { accept: OCI_MANIFEST },
    })
    const text = await answer.body.text()
    times.push(performance.now() - start)
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`)
    if (ask.names === undefined) continue
    const names = (JSON.parse(text) as Record<string, readonly string[]>)[ask.names] ?? []
    if (names.length !== PAGE) throw new Error(`${path}: ${names.length} names, not ${PAGE}`)
  }
  return median(times)
}

interface Start {
  /** Until it says that it is up and serves, milliseconds. */
  readonly serves: number
  /** Until `/readyz` agrees, milliseconds, to 40. */
  readonly ready: number
}

async function start(node: NodeProcess): Promise<Start> {
  await node.stop()
  const before = node.log().split('ready: node').length
  const began = performance.now()
  const ready = node.start()
  ready.catch(() => {})
  const isUp = () => node.log().split('ready: node').length > before
  await Promise.race([eventually(isUp, { timeoutMs: 120_000 }), ready])
  const serves = performance.now() - began
  await ready
  return { serves, ready: performance.now() - began }
}

await using mesh = await startMesh(
  { file: 'master-slave.yaml' },
  { start: [], flags: ['--log-level', 'warn'] },
)
// Nodes that never meet: each one is started as the only writer would be, from its own directory.
await using other = await startMesh(
  { file: 'master-slave.yaml' },
  { start: [], flags: ['--log-level', 'warn'] },
)
await using third = await startMesh(
  { file: 'master-slave.yaml' },
  { start: [], flags: ['--log-level', 'warn'] },
)
const [empty, small, large] = [third.node('hq'), other.node('hq'), mesh.node('hq')]
await fillIndex(small.dataDirectory, REALM, SMALL)
const began = performance.now()
await fillIndex(large.dataDirectory, REALM, LARGE)
console.error(`index filled in ${Math.round((performance.now() - began) / 1000)} s`)

const starts: Record<string, Start[]> = { empty: [], small: [], large: [] }
for (let round = 0; round <= rounds; round += 1) {
  for (const [name, node] of Object.entries({ empty, small, large })) {
    const one = await start(node)
    // The first one compacts what the filling wrote, and warms the file cache.
    if (round > 0) starts[name]?.push(one)
  }
}
/** Looking through the ledger goes on after the start: requests are measured when it is over. */
const SETTLE_TIMEOUT_MS = 300_000
/** Share of a processor, between two looks half a second apart, below which a node is idle. */
const IDLE = 0.1

/** @returns seconds of processor time until the node was idle. */
async function untilIdle({ pid = 0 }: NodeProcess): Promise<number> {
  const first = cpuSeconds(pid)
  let last = first
  await eventually(
    async () => {
      await delay(500)
      const now = cpuSeconds(pid)
      const isIdle = now - last < IDLE / 2
      last = now
      return isIdle
    },
    { timeoutMs: SETTLE_TIMEOUT_MS },
  )
  return last - first
}

const scanCpuSeconds = short(await untilIdle(large))
const memory: Record<string, number> = {}
for (const [name, { pid = 0 }] of Object.entries({ empty, small, large })) {
  memory[name] = Math.round(residentMiB(pid))
}

const requests: Record<string, object> = {}
for (const [name, ask] of Object.entries(ASKS)) {
  const times: Record<'small' | 'large', number[]> = { small: [], large: [] }
  for (let round = 0; round <= rounds; round += 1) {
    const one = await measure(small.url, ask, SMALL, round)
    const two = await measure(large.url, ask, LARGE, round)
    if (round === 0) continue
    times.small.push(one)
    times.large.push(two)
  }
  const [at, of] = [spreadOf(times.small).median, spreadOf(times.large).median]
  requests[name] = { smallMs: short(at), largeMs: short(of), ratio: short(of / at) }
}
const startUp: Record<string, object> = {}
for (const kind of ['serves', 'ready'] as const) {
  const [none, few, many] = ['empty', 'small', 'large'].map((name) =>
    median((starts[name] ?? []).map((one) => one[kind])),
  ) as [number, number, number]
  startUp[kind] = {
    emptyMs: Math.round(none),
    smallMs: Math.round(few),
    largeMs: Math.round(many),
    ratio: short(many / none),
  }
}
console.log('start-up; ratio = large / empty')
console.table(startUp)
console.log(
  `looking through the large ledger after the start: ${scanCpuSeconds} s of processor time`,
)
console.log('resident memory after that, MiB')
console.table(memory)
console.log('one request, median; ratio = large / small')
console.table(requests)
writeJson(values.json, {
  benchmark: 'metadata',
  small: SMALL,
  large: LARGE,
  startUp,
  scanCpuSeconds,
  memory,
  requests,
})

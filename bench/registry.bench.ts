/**
 * Pull and push at entrepot and at other registries, side by side: every case in rounds A B C, A B C, medians.
 * Run: node bench/registry.bench.ts [--only TEXT]... [--peers A,B] [--peer NAME=URL]... [--rounds N] [--quick] [--json FILE]
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fill, makeCorpus } from './corpus.ts'
import type { Load } from './load.ts'
import { cpuSeconds, short, spreadOf, writeJson } from './measure.ts'
import { externalPeer, PEERS, type Peer } from './peers.ts'
import { type Case, makeCases } from './registry-cases.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    peers: { type: 'string', default: Object.keys(PEERS).join(',') },
    peer: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
/** Of the amount of work in a round. */
const scale = values.quick ? 0.34 : 1

interface Sample {
  /** In the unit of the case. */
  readonly value: number
  /** Of the server, per request. */
  readonly cpuMs: number | undefined
  readonly p99Ms: number | undefined
}

async function measure(one: Case, peer: Peer): Promise<Sample> {
  const before = peer.pid === undefined ? 0 : cpuSeconds(peer.pid)
  const load = await one.run(peer, scale)
  const cpu = peer.pid === undefined ? undefined : cpuSeconds(peer.pid) - before
  return {
    value: inUnit(one, load),
    cpuMs: cpu === undefined ? undefined : (cpu / load.requests) * 1_000,
    p99Ms: load.p99Ms,
  }
}

function inUnit({ unit }: Case, { requests, bytes, seconds }: Load): number {
  return unit === 'MB/s' ? bytes / 1e6 / seconds : requests / seconds
}

/** The median of what is known of it, or nothing. */
function known(name: 'cpuMs' | 'p99Ms', samples: readonly Sample[]): object {
  const values = samples.map((sample) => sample[name]).filter((value) => value !== undefined)
  return values.length === 0 ? {} : { [name]: short(spreadOf(values).median) }
}

await using parts = new AsyncDisposableStack()
const directory = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
parts.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))

const peers: Peer[] = []
for (const name of values.peers.split(',').filter(Boolean)) {
  const start = PEERS[name]
  if (start === undefined) {
    throw new Error(`--peers knows ${Object.keys(PEERS).join(', ')}; got ${name}`)
  }
  const own = join(directory, name)
  await mkdir(own)
  const peer = await start(own)
  if (peer === undefined) console.error(`${name} is not installed here: left out`)
  else peers.push(parts.use(peer))
}
for (const text of values.peer) {
  const [name = '', url = ''] = text.split(/=(.*)/)
  peers.push(externalPeer(name, url))
}
const corpus = makeCorpus()
for (const peer of peers) await fill(peer, corpus)

const results: Record<string, object> = {}
const cases = makeCases(corpus).filter(
  ({ name }) => values.only.length === 0 || values.only.some((text) => name.includes(text)),
)
for (const one of cases) {
  const able = peers.filter(({ files }) => files === undefined || !one.isPush)
  for (const peer of able) await one.prove(peer)
  const samples = new Map<Peer, Sample[]>(able.map((peer) => [peer, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [peer, list] of samples) list.push(await measure(one, peer))
  }
  const rows: Record<string, object> = {}
  const [first] = samples.values()
  const own = spreadOf((first ?? []).map(({ value }) => value)).median
  for (const [{ name }, list] of samples) {
    const { median, min, max } = spreadOf(list.map(({ value }) => value))
    rows[name] = {
      median: short(median),
      min: short(min),
      max: short(max),
      ratio: short(own / median),
      ...known('cpuMs', list),
      ...known('p99Ms', list),
    }
  }
  results[one.name] = { unit: one.unit, rounds, peers: rows }
  console.log(
    `\n${one.name} [${one.unit}]; ratio = ${peers[0]?.name} / peer; CPU ms of the server a request`,
  )
  console.table(rows)
}
writeJson(values.json, { benchmark: 'registry', results })

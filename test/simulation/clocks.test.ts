/** Wrong clocks: whole nodes on simulated time, each with a wall clock of its own. */
import { expect, test } from 'vitest'
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { msOfTime, timeOfMs } from '../../src/record/time.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../src/simulator/sim-network.ts'
import { createSimNode, peerOf, type SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { fillTopology } from '../../src/topology/topology-fill.ts'
import { makeImage } from '../helpers/images.ts'

/** Three writers feed a relay, which feeds an edge. */
const TEXT = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: clocks, generation: 1 }
nodes: { a: {}, b: {}, c: {}, relay: {}, edge: {} }
origins:
  - { repos: ["**"], writers: [a, b, c], conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: mesh, members: [a, b, c], policies: [all] }
  - { shape: star, center: a, leaves: [relay], policies: [all] }
  - { shape: star, center: b, leaves: [relay], policies: [all] }
  - { shape: star, center: c, leaves: [relay], policies: [all] }
  - { shape: star, center: relay, leaves: [edge], policies: [all] }
`
const REPO = 'app' as RepositoryName
const HOUR_MS = 3_600_000

async function openWorld() {
  const names = ['a', 'b', 'c', 'relay', 'edge'] as NodeName[]
  const addresses = new Map(
    names.map((name) => [
      name,
      { endpoint: `http://${name}:5000`, mesh: `/dns4/${name}/tcp/4001`, peerId: peerOf(name) },
    ]),
  )
  const { topology } = readTopology(fillTopology(TEXT, addresses))
  if (topology === undefined) throw new Error('the topology is right')
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom('clocks')
  const hub = createSimHub({ clock, random }, { dropRate: 0, duplicateRate: 0, maxDelayMs: 20 })
  const nodes = new Map<NodeName, SimNode>()
  const happened: (readonly [NodeName, MeshEvent])[] = []
  const onEvent = ({ name }: SimNode, event: MeshEvent) => void happened.push([name, event])
  for (const name of names) {
    nodes.set(name, await createSimNode({ topology, hub, clock, random, nodes, onEvent }, name))
  }
  const advance = async (ms: number) => {
    const until = clock.now() + ms
    let isOver = false
    void clock.sleep(ms).then(() => {
      isOver = true
    })
    await settle()
    while (!isOver && clock.step(until)) await settle()
  }
  const node = (name: string): SimNode => {
    const found = nodes.get(name as NodeName)
    if (found === undefined) throw new Error(`no node ${name}`)
    return found
  }
  /** In simulated time, with what a push waits for. */
  const come = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    promise.then(settled, settled)
    for (let turn = 0; turn < 1_000 && !isSettled; turn += 1) await advance(50)
    return promise
  }
  const start = (...some: readonly string[]) =>
    come(Promise.all(some.map((name) => node(name).start())))
  const push = (name: string, tag: string) =>
    come(
      (async () => {
        const { core, process } = node(name)
        const image = makeImage(`${name} ${tag}`)
        for (const { digest, bytes } of image.blobs) {
          await process?.blobs.put(digest, bytes)
          await core?.content.linkBlob(REPO, digest)
        }
        const { mediaType, bytes } = image
        await core?.content.pushManifest({
          repository: REPO,
          reference: tag as Tag,
          mediaType,
          bytes,
        })
      })(),
    )
  const shown = async (name: string) =>
    (await node(name).core?.content.tags(REPO, { limit: 100 })) ?? []
  const passes = async (name: string) => {
    const { core } = node(name)
    if (core === undefined) throw new Error(`${name} does not run`)
    return come(core.signing.pass())
  }
  const told = (kind: MeshEvent['kind']) =>
    happened.flatMap(([name, event]) => (event.kind === kind ? [name] : []))
  return { clock, hub, node, advance, start, push, shown, passes, told }
}

test('a writer whose clock jumps signs nothing from the very next push on, and goes on by itself when it is right', async () => {
  const { start, advance, node, passes, told } = await openWorld()
  await start('a', 'b', 'c', 'relay', 'edge')
  await advance(20_000)
  expect(await passes('a')).toBeUndefined()
  for (const ms of [HOUR_MS, -HOUR_MS]) {
    node('a').clockOffsetMs = ms
    expect(await passes('a')).toContain('the clock of node a is 3600 s')
    expect([await passes('b'), await passes('c')]).toEqual([undefined, undefined])
    await advance(100_000)
    expect(node('a').core?.meshTime.refusal()).toContain('(median of 2)')
    node('a').clockOffsetMs = 0
    await advance(100_000)
    expect(node('a').core?.meshTime.refusal()).toBeUndefined()
    expect(await passes('a')).toBeUndefined()
  }
  expect(told('writer-clock')).toEqual(['a', 'a', 'a', 'a'])
})

test('edges cannot stop a writer, and one that is off still takes what comes, at once', async () => {
  const { start, advance, node, push, shown, passes } = await openWorld()
  node('edge').clockOffsetMs = -24 * HOUR_MS
  node('relay').clockOffsetMs = 24 * HOUR_MS
  await start('a', 'b', 'c', 'relay', 'edge')
  await advance(20_000)
  expect(await passes('a')).toBeUndefined()
  await push('a', 'v1')
  await advance(5_000)
  expect([await shown('relay'), await shown('edge')]).toEqual([['v1'], ['v1']])
})

test('a record from the future is relayed and kept aside, and applied in the order of times when its time has come, also by who died meanwhile', async () => {
  const { start, advance, node, push, shown, told, hub, clock } = await openWorld()
  await start('b', 'c', 'relay', 'edge')
  await advance(20_000)
  // Alone, nobody can tell it that its clock is wrong.
  node('a').clockOffsetMs = HOUR_MS
  for (const name of ['b', 'c', 'relay'])
    hub.setLink(peerOf('a' as NodeName), peerOf(name as NodeName), false)
  await start('a')
  expect(node('a').core?.meshTime.refusal()).toBeUndefined()
  await push('a', 'early')
  await push('a', 'later')
  for (const name of ['b', 'c', 'relay'])
    hub.setLink(peerOf('a' as NodeName), peerOf(name as NodeName), true)
  await advance(60_000)
  expect(await shown('a')).toEqual(['early', 'later'])
  for (const name of ['b', 'c', 'relay', 'edge']) expect(await shown(name)).toEqual([])
  // Two tags at each; the edge has them from the relay, which does not know them itself.
  expect(told('record-parked').filter((name) => name === 'edge')).toHaveLength(2)
  expect(node('relay').core?.ledger.head()).toBe(0)
  // Their times do not move the clocks of the others.
  await push('b', 'now')
  const now = node('b').core?.ledger.entry({ repository: REPO, reference: 'now' as Tag })
  const aheadMs = msOfTime(now?.history[0]?.record.time ?? timeOfMs(0)) - clock.now()
  expect(Math.abs(aheadMs)).toBeLessThan(60_000)
  node('edge').crash()
  await advance(1_000)
  await start('edge')
  await advance(HOUR_MS - 10 * 60_000)
  expect(await shown('edge')).toEqual(['now'])
  await advance(12 * 60_000)
  for (const name of ['b', 'c', 'relay', 'edge']) {
    expect(await shown(name)).toEqual(['early', 'later', 'now'])
  }
})

test('a clock that is set back unapplies nothing, and what its writer signs next is taken at once', async () => {
  const { start, advance, node, push, shown } = await openWorld()
  const all = ['a', 'b', 'c', 'relay', 'edge']
  for (const name of all) node(name).clockOffsetMs = HOUR_MS
  await start(...all)
  await advance(20_000)
  await push('a', 'v1')
  await advance(5_000)
  for (const name of all) node(name).clockOffsetMs = 0
  await advance(60_000)
  for (const name of all) expect(await shown(name)).toEqual(['v1'])
  const timeOf = (tag: string) => {
    const entry = node('a').core?.ledger.entry({ repository: REPO, reference: tag as Tag })
    return entry?.history[0]?.record.time ?? 0
  }
  await push('a', 'v2')
  expect(timeOf('v2')).toBeGreaterThan(timeOf('v1'))
  await advance(60_000)
  for (const name of all) expect(await shown(name)).toEqual(['v1', 'v2'])
})

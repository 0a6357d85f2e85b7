/** Honest bursts: a release of a thousand tags at once, and a node that comes back after thousands of changes. */
import { expect, test } from 'vitest'
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../src/simulator/sim-network.ts'
import { createSimNode, type SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { makeImage } from '../helpers/images.ts'
import { starTopology } from '../helpers/star-topology.ts'

const REPO = 'demo/app' as RepositoryName
const NAMES = ['hub', 'near', 'away'] as NodeName[]

test('a thousand tags at once, and thousands of changes for a node that was away, meet no limit', async () => {
  const topology = starTopology(['near', 'away'])
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom('bursts')
  const hub = createSimHub({ clock, random }, { dropRate: 0, duplicateRate: 0, maxDelayMs: 5 })
  const nodes = new Map<NodeName, SimNode>()
  const happened: MeshEvent[] = []
  const onEvent = (_node: SimNode, event: MeshEvent) => void happened.push(event)
  for (const name of NAMES) {
    nodes.set(name, await createSimNode({ topology, hub, clock, random, nodes, onEvent }, name))
  }
  const node = (name: string) => {
    const found = nodes.get(name as NodeName)
    if (found === undefined) throw new Error(`no node ${name}`)
    return found
  }
  /** Runs it to its end, in the simulated time that it needs. */
  const come = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    promise.then(settled, settled)
    await settle()
    while (!isSettled && clock.step(clock.now() + 3_600_000)) await settle()
    return promise
  }
  const advance = (ms: number) => come(clock.sleep(ms))
  const heads = () => NAMES.map((name) => node(name).core?.ledger.head() ?? 0)

  const push = async (round: number) => {
    const { core, process } = node('hub')
    const image = makeImage('release', { layers: 1, layerBytes: 10 })
    for (const { digest, bytes } of image.blobs) {
      await process?.blobs.put(digest, bytes)
      await core?.content.linkBlob(REPO, digest)
    }
    const tags = Array.from({ length: 100 }, (_, at) => `v${round}.${at}` as Tag)
    const { mediaType, bytes, digest } = image
    await core?.content.pushManifest({
      repository: REPO,
      reference: digest,
      tags,
      mediaType,
      bytes,
    })
  }

  for (const name of ['hub', 'near'] as const) await come(node(name).start())
  await advance(15_000)
  await come(Promise.all(Array.from({ length: 10 }, (_, round) => push(round))))
  const startMs = clock.now()
  const known = async () =>
    ((await node('near').core?.content.tags(REPO, { limit: 5_000 })) ?? []).length
  while ((await known()) < 1_000 && clock.now() < startMs + 30_000) await advance(250)
  expect(await known()).toBe(1_000)

  await come(Promise.all(Array.from({ length: 20 }, (_, round) => push(10 + round))))
  await come(node('away').start())
  await advance(30_000)
  const away = (await node('away').core?.content.tags(REPO, { limit: 5_000 })) ?? []
  expect(away).toHaveLength(3_000)
  expect(happened.filter(({ kind }) => kind === 'peer-cut-off')).toEqual([])
  expect(Math.min(...heads())).toBeGreaterThanOrEqual(3_000)
})

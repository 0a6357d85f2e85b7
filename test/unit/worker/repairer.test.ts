import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { DAMAGED } from '../../../src/storage/index-tables.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFetcher } from '../../../src/transfer/fetcher.ts'
import { createRepairer } from '../../../src/worker/repairer.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { makeImage } from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { repo } from '../../helpers/writers.ts'
import { createScriptedHolder } from './scripted-holder.ts'

const REPO = repo('app')
const image = makeImage('image', { layers: 1, layerBytes: 1_000 })
const [layer = { digest: image.digest, bytes: image.bytes }] = image.blobs.slice(1)

/** A node that has the image, its repairer, and a neighbour that has it too. */
async function setUp({ isUp = true } = {}) {
  const rig = await openStorage({ writer: 'edge' })
  await push(rig, REPO, 'v1', image)
  // So that whatever waits for time from here on is the repairer.
  await rig.links.settled()
  const { damage, index, blobs, events, clock, disk } = rig
  const holder = createScriptedHolder([image])
  const neighbour = { isUp }
  const sources = { rank: () => (neighbour.isUp ? ['hub' as NodeName] : []), failed: () => {} }
  const fetcher = createFetcher({ source: holder.source, blobs, sources, events })
  const deps = { damage, index, blobs, fetcher, events, clock }
  const repairer = createRepairer({ ...deps, random: systemRandom, logger: silentLogger })
  const cut = () => {
    disk.blobs.set(layer.digest, layer.bytes.subarray(0, 10))
    return rig.content.statBlob(REPO, layer.digest)
  }
  const isWhole = async () => {
    const stat = await rig.content.statBlob(REPO, layer.digest)
    const bytes = disk.blobs.get(layer.digest)
    return stat !== undefined && bytes !== undefined && Buffer.compare(bytes, layer.bytes) === 0
  }
  return { rig, holder, neighbour, repairer, cut, isWhole }
}

describe('worker / repairer', () => {
  test('a damaged blob is fetched again, served again and told of', async () => {
    const { rig, repairer, cut, isWhole } = await setUp()
    repairer.start()
    await cut()
    await settle()
    expect(await isWhole()).toBe(true)
    expect(rig.happened.slice(-3).map(({ kind }) => kind)).toEqual([
      'blob-damaged',
      'blob-fetched',
      'blob-repaired',
    ])
  })

  test('a file of the right size with other bytes is replaced, not taken for the blob', async () => {
    const { rig, repairer, isWhole } = await setUp()
    rig.disk.blobs.set(layer.digest, Buffer.alloc(layer.bytes.length))
    repairer.start()
    await rig.damage.report(REPO, layer.digest, 'found by a check')
    await settle()
    expect(await isWhole()).toBe(true)
  })

  test('what an earlier run left is taken up at the start', async () => {
    const { rig, repairer, cut, isWhole } = await setUp()
    await cut()
    repairer.start()
    await settle()
    expect(await isWhole()).toBe(true)
    expect(rig.index.get(DAMAGED, layer.digest)).toBeUndefined()
  })

  test('a file that turns out to be whole is not fetched', async () => {
    const { rig, repairer, holder, isWhole } = await setUp()
    await rig.damage.report(REPO, layer.digest, 'a read that failed once')
    repairer.start()
    await settle()
    expect(await isWhole()).toBe(true)
    expect(holder.blobsAsked()).toEqual([])
  })

  test('while nobody has it, it is tried again more and more seldom, and at once when a neighbour comes', async () => {
    const { rig, repairer, neighbour, cut, isWhole } = await setUp({ isUp: false })
    repairer.start()
    await cut()
    await settle()
    await rig.clock.advance(3_600_000)
    expect(await isWhole()).toBe(false)
    expect(rig.clock.sleeping()).toBe(1)
    neighbour.isUp = true
    rig.events.emit({ kind: 'neighbour-up', node: 'hub' as NodeName })
    await settle()
    expect(await isWhole()).toBe(true)
  })

  test('time alone brings the next try', async () => {
    const { rig, repairer, neighbour, cut, isWhole } = await setUp({ isUp: false })
    repairer.start()
    await cut()
    await settle()
    neighbour.isUp = true
    await rig.clock.advance(1_000)
    expect(await isWhole()).toBe(true)
  })

  test('without damage nothing waits for time, and after the last repair neither', async () => {
    const { rig, repairer, cut } = await setUp()
    repairer.start()
    await settle()
    expect(rig.clock.sleeping()).toBe(0)
    await cut()
    await settle()
    expect(rig.clock.sleeping()).toBe(0)
  })

  test('a blob that nobody has any more is forgotten once its file is gone', async () => {
    const { rig, repairer, cut } = await setUp({ isUp: false })
    await cut()
    await rig.content.deleteManifest(REPO, image.digest)
    await rig.content.unlinkBlob(REPO, layer.digest)
    await rig.links.settled()
    repairer.start()
    await settle()
    expect(rig.index.get(DAMAGED, layer.digest)).toBeDefined()
    rig.disk.blobs.delete(layer.digest)
    await rig.clock.advance(2_000)
    expect(rig.index.get(DAMAGED, layer.digest)).toBeUndefined()
    expect(rig.clock.sleeping()).toBe(0)
  })

  test('it ends in the middle of a wait', async () => {
    const { rig, repairer, cut } = await setUp({ isUp: false })
    repairer.start()
    await cut()
    await settle()
    await repairer[Symbol.asyncDispose]()
    expect(rig.clock.sleeping()).toBe(0)
  })
})

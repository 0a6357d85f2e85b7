import { describe, expect, test } from 'vitest'
import type { BlobStore } from '../../../src/storage/blob-store.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFetcher } from '../../../src/transfer/fetcher.ts'
import { stageNameOf } from '../../../src/transfer/pull-blob.ts'
import { carryOut, type Work } from '../../../src/worker/phases.ts'
import { settle } from '../../helpers/fake-clock.ts'
import {
  makeDockerImage,
  makeImage,
  makeIndex,
  manifestsOf,
  OCI_INDEX,
  type TestManifest,
} from '../../helpers/images.ts'
import { openStorage, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'
import { createScriptedHolder } from './scripted-holder.ts'

const REPO = repo('app')
const OPEN: Work['window'] = { now: () => ({ isOpen: true, untilMs: Number.POSITIVE_INFINITY }) }
const never = new AbortController().signal

async function setUp(images: readonly TestManifest[], wrap = (blobs: BlobStore) => blobs) {
  const rig = await openStorage({ writer: 'edge' })
  const holder = createScriptedHolder(images)
  const blobs = wrap(rig.blobs)
  const sources = { rank: () => ['hub' as NodeName], failed: () => {} }
  const fetcher = createFetcher({ source: holder.source, blobs, sources, events: rig.events })
  const phases: string[] = []
  const bytes: [number, number][] = []
  const progress = {
    phase: (phase: string) => void phases.push(phase),
    bytes: (done: number, total: number) => void bytes.push([done, total]),
  }
  const run = (
    image: TestManifest,
    signal = never,
    references = ['v1'],
    { platforms = 'all', window = OPEN }: Partial<Pick<Work, 'platforms' | 'window'>> = {},
  ) =>
    carryOut(
      { ...rig, fetcher, blobs },
      { repository: REPO, digest: image.digest, platforms, window, references: () => references },
      progress,
      { signal },
    )
  return { rig, holder, run, phases, bytes }
}

async function announce(rig: StorageRig, image: TestManifest, reference = 'v1'): Promise<void> {
  const key = { repository: REPO, reference: ref(reference) }
  const put = createWriter('hub').put([], { ...key, digest: image.digest })
  await rig.index.transact((tx) => rig.ledger.add(tx, put))
}

const shown = async ({ content }: StorageRig, reference = 'v1') =>
  (await content.statManifest(REPO, ref(reference)))?.digest

describe('worker / phases', () => {
  test.each([
    ['an image', makeImage('image')],
    ['a Docker image', makeDockerImage('docker')],
    ['an index with its children', makeIndex([makeImage('a'), makeImage('b')])],
    ['an index of indexes', makeIndex([makeIndex([makeImage('a')]), makeImage('b')])],
  ])('%s goes through the phases in order and is shown then', async (_, image) => {
    const { rig, run, phases } = await setUp([image])
    await announce(rig, image)
    expect(await run(image)).toEqual({ kind: 'done' })
    expect(phases).toEqual(['manifest', 'missing', 'blobs', 'commit'])
    expect(await shown(rig)).toBe(image.digest)
    for (const manifest of manifestsOf(image)) {
      const stored = await rig.content.readManifest(REPO, manifest.digest)
      expect(stored && Buffer.compare(stored.bytes, manifest.bytes)).toBe(0)
      for (const { digest, bytes } of manifest.blobs) {
        expect(await rig.content.statBlob(REPO, digest)).toEqual({ size: bytes.length })
      }
    }
  })

  test('nothing of an index is visible before its last blob is here', async () => {
    const image = makeIndex([makeImage('a'), makeImage('b')])
    const { rig, run, holder } = await setUp([image])
    await announce(rig, image)
    const last = holder.holdUp()
    const job = run(image)
    await settle()
    for (const { digest } of manifestsOf(image)) expect(await shown(rig, digest)).toBeUndefined()
    expect(rig.content.hasRepository(REPO)).toBe(false)
    last.resolve()
    await job
    expect(await shown(rig)).toBe(image.digest)
  })

  test('a blob that another repository has is linked, not fetched, and so is one that two children share', async () => {
    const base = makeImage('base')
    const shared = base.blobs.slice(1)
    const [a, b] = ['a', 'b'].map((name) => makeImage(name, { sharedLayers: shared }))
    const image = makeIndex([a, b].filter((one) => one !== undefined))
    const { rig, run, holder } = await setUp([image])
    await push(rig, 'elsewhere', 'v1', base)
    await announce(rig, image)
    expect(await run(image)).toEqual({ kind: 'done' })
    const configs = [a?.blobs[0]?.digest, b?.blobs[0]?.digest]
    expect(holder.blobsAsked()).toHaveLength(2)
    expect(new Set(holder.blobsAsked())).toEqual(new Set(configs))
    for (const { digest } of shared) expect(await rig.content.statBlob(REPO, digest)).toBeDefined()
  })

  test('a manifest that is here is not fetched again', async () => {
    const [a, b] = [makeImage('a'), makeImage('b')]
    const { rig, run, holder } = await setUp([makeIndex([a, b])])
    await push(rig, REPO, a.digest, a)
    await run(makeIndex([a, b]))
    expect(holder.manifestsAsked()).toEqual([makeIndex([a, b]).digest, b.digest])
  })

  test('a child that two indexes name is fetched once', async () => {
    const [a, b] = [makeImage('a'), makeImage('b')]
    const image = makeIndex([makeIndex([a]), makeIndex([a, b])])
    const { run, holder } = await setUp([image])
    await run(image)
    expect(holder.manifestsAsked().filter((digest) => digest === a.digest)).toHaveLength(1)
  })

  test('small blobs come first, at most three at a time', async () => {
    const image = makeImage('image', { layers: 6, layerBytes: 500 })
    const { run, holder } = await setUp([image])
    const gate = holder.holdUp()
    const job = run(image)
    await settle()
    expect(holder.blobsAsked()).toHaveLength(3)
    expect(holder.blobsAsked()[0]).toBe(image.blobs[0]?.digest)
    gate.resolve()
    await job
    expect(holder.blobsAsked()).toHaveLength(7)
  })

  test('progress counts what is here already and ends at the total', async () => {
    const image = makeImage('image', { layerBytes: 500 })
    const { rig, run, bytes } = await setUp([image])
    const [, layer] = image.blobs
    if (layer !== undefined) await rig.blobs.put(layer.digest, layer.bytes)
    await run(image)
    const total = image.blobs.reduce((sum, blob) => sum + blob.bytes.length, 0)
    expect(bytes[0]).toEqual([500, total])
    expect(bytes.at(-1)).toEqual([total, total])
    expect(bytes.every(([done], at) => at === 0 || done >= (bytes[at - 1]?.[0] ?? 0))).toBe(true)
  })

  test('a holder that lacks a child or a blob gives a failure, and nothing is shown', async () => {
    const [a, b] = [makeImage('a'), makeImage('b')]
    const image = makeIndex([a, b])
    for (const missing of [b.digest, b.blobs[1]?.digest]) {
      const { rig, run, holder } = await setUp([image])
      await announce(rig, image)
      if (missing !== undefined) holder.lose(missing)
      expect(await run(image)).toMatchObject({ kind: 'no-holder', askedAll: true })
      expect(await shown(rig)).toBeUndefined()
      expect(rig.content.hasRepository(REPO)).toBe(false)
    }
  })

  test('a cancel in the middle of a blob keeps the bytes, and the next run goes on from there', async () => {
    const image = makeImage('image', { layers: 1, layerBytes: 1_000 })
    const layer = image.blobs[1]
    if (layer === undefined) throw new Error('an image has a layer')
    const { rig, run, holder } = await setUp([image])
    await announce(rig, image)
    const cancel = new AbortController()
    const gate = holder.holdUp()
    const job = run(image, cancel.signal)
    await settle()
    cancel.abort(new Error('cancelled'))
    gate.resolve()
    await expect(job).rejects.toThrow('cancelled')
    const bytes = rig.disk.stages.get(stageNameOf(layer.digest))?.bytes.length ?? 0
    expect(bytes).toBeGreaterThan(0)
    expect(bytes).toBeLessThan(1_000)
    expect(await run(image)).toEqual({ kind: 'done' })
    expect(holder.offsetsOf(layer.digest)).toEqual([0, bytes])
    expect(await shown(rig)).toBe(image.digest)
  })

  test('references are asked for at the commit: one that joined meanwhile is shown too', async () => {
    const image = makeImage('image')
    const { rig, run, holder } = await setUp([image])
    await announce(rig, image)
    await announce(rig, image, 'latest')
    const references = ['v1']
    const gate = holder.holdUp()
    const job = run(image, never, references)
    await settle()
    references.push('latest')
    gate.resolve()
    await job
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['latest', 'v1'])
  })

  test('a full disk ends the job with its own error, and nothing of it runs on', async () => {
    const image = makeImage('image', { layers: 5, layerBytes: 500 })
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    let stages = 0
    const { run, holder } = await setUp([image], (blobs) => ({
      ...blobs,
      stage: (name) => {
        stages += 1
        return stages === 2 ? Promise.reject(full) : blobs.stage(name)
      },
    }))
    holder.holdUp()
    await expect(run(image)).rejects.toBe(full)
    const asked = holder.blobsAsked().length
    await settle()
    expect(holder.blobsAsked()).toHaveLength(asked)
    expect(holder.open()).toBe(0)
  })

  describe('platforms', () => {
    const [amd, arm] = [makeImage('amd'), makeImage('arm')]
    const image = makeIndex([amd, arm])
    const ONLY_ARM = { platforms: ['linux/arm64'] }

    test('only the wanted images of an index come, and the key is complete for them', async () => {
      const { rig, run, holder } = await setUp([image])
      await announce(rig, image)
      expect(await run(image, never, ['v1'], ONLY_ARM)).toEqual({ kind: 'done' })
      expect(holder.manifestsAsked()).toEqual([image.digest, arm.digest])
      expect(new Set(holder.blobsAsked())).toEqual(new Set(arm.blobs.map(({ digest }) => digest)))
      const key = { repository: REPO, reference: ref('v1') }
      expect(rig.ledger.entry(key)?.held).toEqual({
        digest: image.digest,
        coverage: ['linux/arm64'],
      })
      expect(rig.content.isComplete(REPO, image.digest, ['linux/arm64'])).toBe(true)
      expect(rig.content.isComplete(REPO, image.digest)).toBe(false)
      expect(rig.content.missingPart(REPO, amd.digest)).toEqual({
        index: image.digest,
        platform: 'linux/amd64',
        here: ['linux/arm64'],
      })
      expect(rig.content.missingPart(REPO, arm.digest)).toBeUndefined()
      // The other one comes to what is here, and then it is whole.
      const rest = { platforms: ['linux/amd64', 'linux/arm64'] }
      expect(await run(image, never, ['v1'], rest)).toEqual({ kind: 'done' })
      expect(holder.manifestsAsked()).toEqual([image.digest, arm.digest, amd.digest])
      expect(rig.ledger.entry(key)?.held?.coverage).toBe('all')
    })

    test('an attestation comes with its image, and what is in an index without a platform always', async () => {
      const [forAmd, forArm, plain] = [
        makeImage('for amd'),
        makeImage('for arm'),
        makeImage('plain'),
      ]
      const unknown = { platform: { os: 'unknown', architecture: 'unknown' } }
      const about = (one: TestManifest) => ({
        ...unknown,
        annotations: { 'vnd.docker.reference.digest': one.digest },
      })
      const full = makeIndex([amd, arm, forAmd, forArm, plain], OCI_INDEX, [
        {},
        {},
        about(amd),
        about(arm),
        unknown,
      ])
      const { rig, run, holder } = await setUp([full])
      await announce(rig, full)
      expect(await run(full, never, ['v1'], ONLY_ARM)).toEqual({ kind: 'done' })
      expect(holder.manifestsAsked()).toEqual([
        full.digest,
        arm.digest,
        forArm.digest,
        plain.digest,
      ])
    })

    test('an index in which no image is wanted is shown alone; an image that is no index is whole', async () => {
      const { rig, run, holder } = await setUp([image, amd])
      await announce(rig, image)
      await announce(rig, amd, 'v2')
      const wanted = { platforms: ['linux/riscv64'] }
      expect(await run(image, never, ['v1'], wanted)).toEqual({ kind: 'done' })
      expect(holder.blobsAsked()).toEqual([])
      expect(await shown(rig)).toBe(image.digest)
      expect(await run(amd, never, ['v2'], wanted)).toEqual({ kind: 'done' })
      const key = { repository: REPO, reference: ref('v2') }
      expect(rig.ledger.entry(key)?.held?.coverage).toBe('all')
    })
  })

  test('before its window a job says how much is to come, and fetches no blob; what is here whole is shown', async () => {
    const image = makeImage('image', { layers: 1, layerBytes: 500 })
    const closed = { window: { now: () => ({ isOpen: false, opensMs: 7 }) as const } }
    const { rig, run, holder, bytes, phases } = await setUp([image])
    await announce(rig, image)
    expect(await run(image, never, ['v1'], closed)).toEqual({ kind: 'window', opensMs: 7 })
    expect([holder.blobsAsked(), phases]).toEqual([[], ['manifest', 'missing']])
    const total = image.blobs.reduce((sum, blob) => sum + blob.bytes.length, 0)
    expect(bytes).toEqual([[0, total]])
    expect(await shown(rig)).toBeUndefined()
    for (const blob of image.blobs) await rig.blobs.put(blob.digest, blob.bytes)
    expect(await run(image, never, ['v1'], closed)).toEqual({ kind: 'done' })
    expect(await shown(rig)).toBe(image.digest)
  })

  test('indexes that nest too deep are refused', async () => {
    let image = makeImage('image')
    for (let depth = 0; depth < 6; depth += 1) image = makeIndex([image])
    const { run } = await setUp([image])
    expect(await run(image)).toEqual({
      kind: 'failed',
      reason: 'indexes nest deeper than 4',
    })
  })
})

import { expect, test } from 'vitest'
import { createScrub } from '../../../src/storage/scrub.ts'
import { makeImage } from '../../helpers/images.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'

test('what the index has and the disk lacks, or has in another size, is damaged after a scrub, and nothing else', async () => {
  await using rig = await openStorage()
  const images = Array.from({ length: 60 }, (_, at) => makeImage(`image ${at}`, { layers: 2 }))
  for (const [at, image] of images.entries()) await push(rig, `demo/app-${at % 3}`, `v${at}`, image)
  const [gone, cut, manifest] = [images[7]?.blobs[1], images[20]?.blobs[2], images[41]]
  if (!gone || !cut || !manifest) throw new Error('images have layers')
  rig.disk.blobs.delete(gone.digest)
  rig.disk.blobs.set(cut.digest, cut.bytes.subarray(1))
  rig.disk.blobs.delete(manifest.digest)
  await rig.links.settled()
  const { index, blobs, damage, clock } = rig
  const scrub = createScrub({ index, blobs, damage, clock, logger: createLogKeeper().logger })
  scrub.start()
  await clock.advance(0)
  // Slowly: a page, and a rest.
  expect(clock.sleeping()).toBe(1)
  await clock.advance(10_000)
  const digests = rig.happened.flatMap((one) => (one.kind === 'blob-damaged' ? [one.digest] : []))
  expect(digests.sort()).toEqual([gone.digest, cut.digest, manifest.digest].sort())
  await scrub[Symbol.asyncDispose]()
  expect(clock.sleeping()).toBe(0)
})

test('a blob that goes while the scrub looks at it is not damaged', async () => {
  await using rig = await openStorage()
  const image = makeImage('image')
  await push(rig, 'demo/app', 'v1', image)
  const { index, damage, clock } = rig
  const blobs = {
    stat: async () => {
      await rig.content.deleteManifest('demo/app' as never, image.digest)
      for (const { digest } of image.blobs)
        await rig.content.unlinkBlob('demo/app' as never, digest)
      return undefined
    },
  }
  const scrub = createScrub({ index, blobs, damage, clock, logger: createLogKeeper().logger })
  scrub.start()
  await clock.advance(1_000)
  await scrub[Symbol.asyncDispose]()
  expect(rig.happened.filter(({ kind }) => kind === 'blob-damaged')).toEqual([])
})

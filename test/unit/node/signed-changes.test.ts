import { expect, test } from 'vitest'
import { signedChanges } from '../../../src/node/signed-changes.ts'
import { OciError } from '../../../src/oci/errors.ts'
import { makeImage } from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { ref, repo } from '../../helpers/writers.ts'

const REPO = repo('demo/app')
const image = makeImage('image')

test('while records are read back every signed change is refused with 503 and when to come again, and nothing else', async () => {
  await using rig = await openStorage()
  await push(rig, REPO, 'v1', image)
  let reason: string | undefined = 'still reading'
  const content = signedChanges(rig.content, { pass: async () => reason })
  const head = rig.ledger.head()
  const { mediaType, bytes, digest } = image
  const reference = ref('v2')
  const changes = [
    () => content.pushManifest({ repository: REPO, reference, mediaType, bytes }),
    () => content.deleteTag(REPO, 'v1' as never),
    () => content.deleteManifest(REPO, digest),
  ]
  for (const change of changes) {
    const error = await change().catch((err: unknown) => err)
    if (!(error instanceof OciError)) throw new Error('an error of the API was expected')
    expect(error).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    expect(error.message).toBe('still reading; push again in a moment')
  }
  expect(rig.ledger.head()).toBe(head)
  // Bytes may come: nothing of them is signed.
  await content.linkBlob(REPO, image.blobs[0]?.digest ?? digest)
  expect(await content.statManifest(REPO, ref('v1'))).toBeDefined()
  reason = undefined
  for (const change of changes) await change()
  expect(rig.ledger.head()).toBeGreaterThan(head)
})

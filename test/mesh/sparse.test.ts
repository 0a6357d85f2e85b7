/** A writer that takes sparse content: what it lacks reaches nobody, says why, and arrives once it is whole. */
import { expect, test } from 'vitest'
import { jobsOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, makeIndex } from '../helpers/images.ts'
import { startPair } from '../helpers/pair.ts'
import { comparePull, digestAt, pushImage, putManifest } from '../helpers/registry-calls.ts'

const REPO = 'team/app'

test('an index without one of its children stays at its writer until the child comes', async () => {
  await using mesh = await startPair({ flags: ['--sparse', 'accept'] })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [here, late] = [makeImage('here'), makeImage('late')]
  const index = makeIndex([here, late])
  await pushImage(hub.url, REPO, here.digest, here)
  await putManifest(hub.url, REPO, 'v1', index)
  expect(await digestAt(hub.url, REPO, 'v1')).toBe(index.digest)

  const reason = await eventually(async () => {
    const job = (await jobsOf(edge)).find(({ digest }) => digest === index.digest)
    return job?.state === 'waiting' && (job.reason?.includes('not there') ?? false)
      ? job.reason
      : undefined
  })
  expect(reason).toContain(late.digest)
  expect(await digestAt(edge.url, REPO, 'v1')).toBeUndefined()

  // An image that is whole is not held up by it.
  await pushImage(hub.url, REPO, 'other', makeImage('other'))
  await eventually(() => digestAt(edge.url, REPO, 'other'))

  await pushImage(hub.url, REPO, 'v1', index)
  await eventually(async () => (await digestAt(edge.url, REPO, 'v1')) === index.digest)
  await comparePull(edge.url, REPO, 'v1', index)
})

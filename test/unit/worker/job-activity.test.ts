import { describe, expect, test } from 'vitest'
import type { AskedNode } from '../../../src/events/mesh-event.ts'
import { jobId } from '../../../src/queue/job.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Fetcher } from '../../../src/transfer/fetcher.ts'
import { createJobActivity } from '../../../src/worker/job-activity.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const [IMAGE, BLOB] = [digestNamed('image'), digestNamed('blob')]
const ID = jobId(REPO, IMAGE)
const HUB = 'hub' as NodeName

function transfer(node: string, blob: string, bytesPerSecond: number) {
  const what = { node: node as NodeName, repository: REPO, digest: digestNamed(blob) }
  return { ...what, sinceMs: 0, bytes: 1, bytesPerSecond }
}

describe('worker / job activity', () => {
  test('a job tells of the transfers of its own blobs, together, while they are fetched', async () => {
    const running = [
      transfer('hub', 'blob', 1_000),
      transfer('eu', 'other', 500),
      transfer('us', 'not of the job', 9_000),
    ]
    const activity = createJobActivity({ transfers: { list: () => running } })
    const gates = new Map(
      [BLOB, digestNamed('other')].map((one) => [one, Promise.withResolvers<void>()]),
    )
    const fetcher: Fetcher = {
      manifest: () => Promise.reject(new Error('not asked for')),
      blob: async (_repository, _image, { digest }) => {
        await gates.get(digest)?.promise
        return { kind: 'pulled', from: digest === BLOB ? HUB : undefined }
      },
    }
    const asked: [string, Omit<AskedNode, 'atMs'>][] = []
    const following = activity.following(fetcher, { asked: (id, what) => asked.push([id, what]) })
    const options = { signal: new AbortController().signal, onProgress: () => {} }
    const fetches = [...gates.keys()].map((digest) =>
      following.blob(REPO, { digest: IMAGE }, { digest, size: 1, mediaType: 'a/b' }, options),
    )
    expect(activity.of(ID)).toEqual({ from: ['eu', 'hub'], bytesPerSecond: 1_500 })
    gates.get(BLOB)?.resolve()
    await fetches[0]
    expect(activity.of(ID)).toEqual({ from: ['eu'], bytesPerSecond: 500 })
    for (const { resolve } of gates.values()) resolve()
    await Promise.all(fetches)
    expect(activity.of(ID)).toBeUndefined()
    // What was here already came from nobody.
    expect(asked).toEqual([[ID, { node: HUB, digest: BLOB, outcome: 'gave' }]])
  })
})

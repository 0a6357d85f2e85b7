import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { StageName } from '../../../src/storage/blob-store.ts'
import { openDiskStage } from '../../../src/storage/disk-stage.ts'
import { createEarlySync, type EarlySync } from '../../../src/storage/early-sync.ts'
import { createRunningHashes } from '../../../src/storage/running-hashes.ts'
import { bytesOf } from '../../helpers/images.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

const MIB = 1024 * 1024

/** A file whose write-back ends when it is told to. */
function byHand() {
  const calls: PromiseWithResolvers<void>[] = []
  const datasync = () => {
    const call = Promise.withResolvers<void>()
    calls.push(call)
    return call.promise
  }
  return { calls, file: { datasync } }
}

describe('early sync', () => {
  it('one file at a time is written back, and when it is the next one may begin', async () => {
    const early = createEarlySync()
    const [first, second] = [byHand(), byHand()]
    const syncing = early.begin(first.file)
    expect(syncing).toBeDefined()
    expect(early.begin(second.file)).toBeUndefined()
    await Promise.resolve()
    first.calls[0]?.resolve()
    await syncing
    expect(early.begin(second.file)).toBeDefined()
  })

  it('a failure is the failure of all later ones of the file, and of no other file', async () => {
    const early = createEarlySync()
    const [bad, good] = [byHand(), byHand()]
    const failed = early.begin(bad.file)
    await Promise.resolve()
    bad.calls[0]?.reject(new Error('EIO'))
    await expect(failed).rejects.toThrow('EIO')
    await expect(early.begin(bad.file, failed)).rejects.toThrow('EIO')
    const fine = early.begin(good.file)
    await Promise.resolve()
    good.calls[0]?.resolve()
    await fine
  })
})

describe('a stage that is written back early', () => {
  async function append(earlySync: EarlySync, size: number) {
    const directory = await makeTemporaryDirectory()
    const bytes = bytesOf('early', size)
    const placed: string[] = []
    const stage = await openDiskStage({
      path: join(directory.path, 'stage'),
      name: 'stage' as StageName,
      place: async (_, digest, written) => {
        await written
        placed.push(digest)
      },
      hashes: createRunningHashes(),
      earlySync,
    })
    await stage.append(
      (async function* () {
        for (let at = 0; at < size; at += MIB) yield bytes.subarray(at, at + MIB)
      })(),
    )
    return { directory, stage, placed, digest: digestOf(bytes) }
  }

  it('begins every 8 MiB; a small one never', async () => {
    const sizes: number[] = []
    const counting: EarlySync = {
      begin: () => {
        sizes.push(1)
        return Promise.resolve()
      },
    }
    const small = await append(counting, 7 * MIB)
    await using _small = small.directory
    expect(sizes).toHaveLength(0)
    await small.stage.close()
    const large = await append(counting, 20 * MIB)
    await using _large = large.directory
    expect(sizes).toHaveLength(2)
    expect(await large.stage.commit(large.digest)).toEqual({ kind: 'stored', size: 20 * MIB })
  })

  it('becomes no blob when a write-back failed: the kernel tells of it once', async () => {
    const lost = Promise.reject(new Error('EIO'))
    lost.catch(() => {})
    const { directory, stage, placed, digest } = await append({ begin: () => lost }, 9 * MIB)
    await using _directory = directory
    await expect(stage.commit(digest)).rejects.toThrow('EIO')
    expect(placed).toEqual([])
    await stage.discard()
  })
})

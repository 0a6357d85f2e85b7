import { writeFile } from 'node:fs/promises'
import { describe } from 'vitest'
import { openDiskBlobStore } from '../../src/storage/disk-blob-store.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../src/storage/memory-blob-store.ts'
import { withSmallContent } from '../../src/storage/small-content.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { makeTemporaryDirectory } from '../helpers/temporary-directory.ts'
import { blobStoreContract } from './blob-store.contract.ts'

describe('the blob store on disk', () => {
  blobStoreContract(async () => {
    const directory = await makeTemporaryDirectory()
    const open = () => openDiskBlobStore({ directory: directory.path })
    return {
      open,
      damage: async (digest, bytes) => writeFile((await open()).pathOf(digest) ?? '', bytes),
      [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
    }
  })
})

describe('the blob store in memory', () => {
  blobStoreContract(async () => {
    const disk = createMemoryDisk()
    return {
      open: async () => createMemoryBlobStore({ clock: createFakeClock(), disk }),
      damage: async (digest, bytes) => void disk.blobs.set(digest, bytes),
      [Symbol.asyncDispose]: async () => {},
    }
  })
})

describe('a blob store with its small content in memory', () => {
  blobStoreContract(async () => {
    const disk = createMemoryDisk()
    return {
      open: async () => withSmallContent(createMemoryBlobStore({ clock: createFakeClock(), disk })),
      damage: async (digest, bytes) => void disk.blobs.set(digest, bytes),
      [Symbol.asyncDispose]: async () => {},
    }
  })
})

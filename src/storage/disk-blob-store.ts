/** The BlobStore on disk, in distribution's layout. Partial bytes stand in the staging directory, never beside blobs. */
import { mkdir, open, opendir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { makeDirectoryDurably, syncDirectory, writeDurably } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { BlobStore, StageName, StageStat } from './blob-store.ts'
import { openDiskStage } from './disk-stage.ts'
import { BLOBS_PATH, blobDirectoryPath } from './layout.ts'
import { verify } from './memory-blob-store.ts'

export interface DiskBlobStoreOptions {
  /** The data directory; `docker/` and `entrepot/staging/` stand in it. */
  readonly directory: string
}

/** Makes the staging directory. @throws the file system's error when the directory cannot be written. */
export async function openDiskBlobStore({ directory }: DiskBlobStoreOptions): Promise<BlobStore> {
  const staging = join(directory, 'entrepot', 'staging')
  await mkdir(staging, { recursive: true })
  await mkdir(join(directory, BLOBS_PATH), { recursive: true })
  const pathOf = (digest: Digest) => join(directory, blobDirectoryPath(digest), 'data')

  /** Moves a finished file to its place under the digest. */
  async function place(from: string, digest: Digest): Promise<void> {
    const to = pathOf(digest)
    await makeDirectoryDurably(dirname(to))
    await rename(from, to)
    await syncDirectory(dirname(to))
  }

  return {
    stat: async (digest) => {
      const found = await absent(stat(pathOf(digest)))
      return found && { size: found.size }
    },
    read: async (digest, range) => {
      const file = await absent(open(pathOf(digest), 'r'))
      if (file === undefined) return undefined
      // `end` of a stream is inclusive, ours is not.
      if (range !== undefined && range.end <= range.start) {
        await file.close()
        return Readable.from([])
      }
      return file.createReadStream(range && { start: range.start, end: range.end - 1 })
    },
    readAll: (digest) => absent(readFile(pathOf(digest))),
    pathOf,
    stage: (name) => openDiskStage({ path: join(staging, name), name, place }),
    stages: async () => {
      const names = await readdir(staging)
      const found = await Promise.all(names.map((name) => statStage(join(staging, name), name)))
      return found.filter((one) => one !== undefined)
    },
    put: async (digest, bytes) => {
      verify(digest, bytes)
      const found = await absent(stat(pathOf(digest)))
      // Same digest, same size: the same content, durable since it was put. Another size is damage: written anew.
      if (found?.size === bytes.length) return
      await writeDurably(pathOf(digest), bytes)
    },
    delete: async (digest) => {
      const found = await absent(stat(pathOf(digest)))
      if (found === undefined) return false
      await rm(dirname(pathOf(digest)), { recursive: true, force: true })
      return true
    },
    list: () => listBlobs(join(directory, BLOBS_PATH)),
  }
}

async function* listBlobs(root: string): AsyncGenerator<Digest> {
  for (const algorithm of await readdir(root)) {
    const directory = join(root, algorithm)
    for (const prefix of await readdir(directory)) {
      const entries = await absent(opendir(join(directory, prefix)))
      if (entries === undefined) continue
      for await (const { name } of entries) {
        const digest = parseDigest(`${algorithm}:${name}`)
        if (digest !== undefined) yield digest
      }
    }
  }
}

async function statStage(path: string, name: string): Promise<StageStat | undefined> {
  const found = await absent(stat(path))
  return found && { name: name as StageName, size: found.size, modifiedAtMs: found.mtimeMs }
}

/** Undefined where there is no such file. */
async function absent<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err
  }
}

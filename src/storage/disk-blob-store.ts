/** The BlobStore on disk, in distribution's layout. Partial bytes stand in the staging directory, never beside blobs. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { makeDirectoryDurably, syncPath } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import {
  type BlobStore,
  ONE_CALL_PREFIX,
  oneCallStage,
  type StageName,
  type StageStat,
} from './blob-store.ts'
import { openDiskStage } from './disk-stage.ts'
import { createEarlySync } from './early-sync.ts'
import { BLOBS_PATH, blobDirectoryPath } from './layout.ts'
import { createRunningHashes } from './running-hashes.ts'
import { verify } from './verify.ts'

export interface DiskBlobStoreOptions {
  /** The data directory; `docker/` and `entrepot/staging/` stand in it. */
  readonly directory: string
}

/**
 * Makes the staging directory. One process at a time: the lock of the index must be held.
 * @throws the file system's error when the directory cannot be written.
 */
export async function openDiskBlobStore({ directory }: DiskBlobStoreOptions): Promise<BlobStore> {
  const staging = join(directory, 'entrepot', 'staging')
  await makeDirectoryDurably(staging)
  await makeDirectoryDurably(join(directory, BLOBS_PATH))
  await removeLeftPuts(staging)
  const hashes = createRunningHashes()
  const earlySync = createEarlySync()
  /** Directories `<algorithm>` and `<algorithm>/<2 hex>` whose name is durable, or is being made so: at most 514. */
  const durable = new Map<string, Promise<void>>()
  const pathOf = (digest: Digest) => join(directory, blobDirectoryPath(digest), 'data')

  /** Two blobs may make the same directory at once: each waits until the name is on disk, whoever made it. */
  function makeShared(path: string): Promise<void> {
    const known = durable.get(path)
    if (known !== undefined) return known
    const made = (async () => {
      const parent = dirname(path)
      if (parent !== join(directory, BLOBS_PATH)) await makeShared(parent)
      await mkdir(path, { recursive: true })
      await syncPath(parent)
    })()
    durable.set(path, made)
    made.catch(() => durable.delete(path))
    return made
  }

  /** Moves a file to its place under the digest, once `written` says that its bytes are durable. */
  async function place(from: string, digest: Digest, written: Promise<void>): Promise<void> {
    const own = dirname(pathOf(digest))
    // Side by side, and both are over before anything fails: nobody may be at a file that goes then.
    const [bytes, shared] = await Promise.allSettled([written, makeShared(dirname(own))])
    for (const one of [bytes, shared]) if (one.status === 'rejected') throw one.reason
    await mkdir(own, { recursive: true })
    await rename(from, pathOf(digest))
    await makeNameDurable(own)
  }

  async function makeNameDurable(own: string): Promise<void> {
    // Side by side: two waits for one commit of the file system's journal.
    await Promise.all([syncPath(own), syncPath(dirname(own))])
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
    stage: (name) => openDiskStage({ path: join(staging, name), name, place, hashes, earlySync }),
    openStaged: async (name) => {
      const file = await absent(open(join(staging, name), 'r'))
      return (
        file && {
          read: async (at, length) => {
            const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
            return buffer.subarray(0, bytesRead)
          },
          close: () => file.close(),
        }
      )
    },
    stages: async () => {
      const names = (await readdir(staging)).filter((name) => !name.startsWith(ONE_CALL_PREFIX))
      const found = await Promise.all(names.map((name) => statStage(join(staging, name), name)))
      return found.filter((one) => one !== undefined)
    },
    put: async (digest, bytes) => {
      verify(digest, bytes)
      const found = await absent(readFile(pathOf(digest)))
      // Compared, not trusted: a damaged file is written anew. Who wrote it may still be making its name durable.
      if (found?.equals(bytes)) return makeNameDurable(dirname(pathOf(digest)))
      const path = join(staging, oneCallStage(randomUUID()))
      try {
        await place(path, digest, writeFile(path, bytes, { flag: 'wx', flush: true }))
      } catch (err) {
        await rm(path, { force: true })
        throw err
      }
    },
    written: async (digest) => {
      const found = await absent(stat(pathOf(digest)))
      return found && { size: found.size, atMs: found.mtimeMs }
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

/** Names that are no digests, and directories without a file, are passed over: others may keep theirs here. */
async function* listBlobs(root: string): AsyncGenerator<Digest> {
  for (const algorithm of await directoriesIn(root)) {
    for (const prefix of await directoriesIn(join(root, algorithm))) {
      for (const hex of await directoriesIn(join(root, algorithm, prefix))) {
        const digest = parseDigest(`${algorithm}:${hex}`)
        if (digest === undefined) continue
        if (await absent(stat(join(root, algorithm, prefix, hex, 'data')))) yield digest
      }
    }
  }
}

/** One level, never the whole tree: of a million blobs 1/256 is in memory at a time. */
async function directoriesIn(path: string): Promise<readonly string[]> {
  const entries = (await absent(readdir(path, { withFileTypes: true }))) ?? []
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

async function removeLeftPuts(staging: string): Promise<void> {
  const names = (await readdir(staging)).filter((name) => name.startsWith(ONE_CALL_PREFIX))
  await Promise.all(names.map((name) => rm(join(staging, name), { force: true })))
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

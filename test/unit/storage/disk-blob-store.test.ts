import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../../src/oci/digest.ts'
import type { StageName } from '../../../src/storage/blob-store.ts'
import { openDiskBlobStore } from '../../../src/storage/disk-blob-store.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

const BYTES = Buffer.from('hello')
const DIGEST = digestOf(BYTES)
const HEX = hexOf(DIGEST)
const NAME = 'stage' as StageName

describe('the disk blob store', () => {
  it("a blob stands where distribution's layout has it", async () => {
    await using directory = await makeTemporaryDirectory()
    const store = await openDiskBlobStore({ directory: directory.path })
    await store.put(DIGEST, BYTES)
    const path = `docker/registry/v2/blobs/sha256/${HEX.slice(0, 2)}/${HEX}/data`
    expect(store.pathOf(DIGEST)).toBe(join(directory.path, path))
    expect(await readFile(join(directory.path, path))).toEqual(BYTES)
  })

  it('partial bytes stand in staging and never below docker/', async () => {
    await using directory = await makeTemporaryDirectory()
    const store = await openDiskBlobStore({ directory: directory.path })
    const stage = await store.stage(NAME)
    await stage.append(once(BYTES))
    await stage.close()
    expect(await readdir(join(directory.path, 'entrepot/staging'))).toEqual([NAME])
    expect(await readdir(join(directory.path, 'docker/registry/v2/blobs'))).toEqual([])
  })

  it('a put that a crash cut off leaves nothing after the next start', async () => {
    await using directory = await makeTemporaryDirectory()
    const staging = join(directory.path, 'entrepot/staging')
    await mkdir(staging, { recursive: true })
    await writeFile(join(staging, 'put-a'), 'half')
    await writeFile(join(staging, NAME), 'kept')
    const store = await openDiskBlobStore({ directory: directory.path })
    expect(await readdir(staging)).toEqual([NAME])
    expect(await store.stages()).toMatchObject([{ name: NAME, size: 4 }])
  })

  it('foreign files and directories without a blob are not listed', async () => {
    await using directory = await makeTemporaryDirectory()
    const store = await openDiskBlobStore({ directory: directory.path })
    await store.put(DIGEST, BYTES)
    const blobs = join(directory.path, 'docker/registry/v2/blobs')
    await mkdir(join(blobs, 'sha256/00', '0'.repeat(64)), { recursive: true })
    await mkdir(join(blobs, 'sha256/_other/thing'), { recursive: true })
    await writeFile(join(blobs, 'note.txt'), '')
    await writeFile(join(blobs, 'sha256/note.txt'), '')
    const listed = []
    for await (const digest of store.list()) listed.push(digest)
    expect(listed).toEqual([DIGEST])
  })

  it('a digest whose directory cannot be made is a fault, and the stage stays usable', async () => {
    await using directory = await makeTemporaryDirectory()
    const store = await openDiskBlobStore({ directory: directory.path })
    const stage = await store.stage(NAME)
    await stage.append(once(BYTES))
    // A file where the directory has to be.
    const path = dirname(dirname(store.pathOf(DIGEST) ?? ''))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '')
    await expect(stage.commit(DIGEST)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(stage.size).toBe(BYTES.length)
    await rm(path)
    expect(await stage.commit(DIGEST)).toEqual({ kind: 'stored', size: BYTES.length })
  })

  it('bytes that the store hashed in an earlier request are still verified when the file was changed', async () => {
    await using directory = await makeTemporaryDirectory()
    const store = await openDiskBlobStore({ directory: directory.path })
    const stage = await store.stage(NAME)
    await stage.append(once(BYTES))
    await stage.close()
    await writeFile(join(directory.path, 'entrepot/staging', NAME), 'hello, you', { flag: 'a' })
    const again = await store.stage(NAME)
    expect(await again.commit(DIGEST)).toMatchObject({ kind: 'mismatch' })
    await again.close()
  })
})

async function* once(bytes: Uint8Array) {
  yield bytes
}

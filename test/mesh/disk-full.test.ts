/** Real nodes on small file systems that are full or read-only: clear answers, nothing lost, no restart needed. */
import { spawnSync } from 'node:child_process'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { RESERVE_BYTES } from '../../src/storage/reserve.ts'
import { eventually } from '../helpers/eventually.ts'
import { bytesOf, makeBlob, makeImage, type TestManifest } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import {
  comparePull,
  digestAt,
  errorsOf,
  pushBlob,
  pushImage,
  putManifest,
} from '../helpers/registry-calls.ts'
import { canMount, mountSmallDisk, type SmallDisk } from '../helpers/small-disk.ts'

const MIB = 1024 * 1024
const DISK_MIB = 64
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** What Node.js writes of a rejection that nobody handles. */
const UNHANDLED = /unhandled/i

interface Rig extends AsyncDisposable {
  readonly mesh: MeshProcess
  readonly hq: NodeProcess
  readonly disk: SmallDisk
}

/** One writer; its data, or a part of it, stands on a disk of 64 MiB, on which it has made its reserve. */
async function startOnSmallDisk({ part = '', flags = [] as string[] } = {}): Promise<Rig> {
  await using building = new AsyncDisposableStack()
  const mesh = building.use(await startMesh({ file: 'master-slave.yaml' }, { start: [], flags }))
  const hq = mesh.node('hq')
  const path = join(hq.dataDirectory, part)
  await mkdir(path, { recursive: true })
  const disk = building.use(await mountSmallDisk(path, DISK_MIB))
  // The node ends before its disk goes.
  building.use({ [Symbol.asyncDispose]: () => hq.kill() })
  await hq.start()
  await eventually(() => hasReserve(hq))
  const parts = building.move()
  return { mesh, hq, disk, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

const reserveOf = ({ dataDirectory }: NodeProcess) => join(dataDirectory, 'entrepot/index/reserve')

async function hasReserve(node: NodeProcess): Promise<boolean> {
  const found = await stat(reserveOf(node)).catch(() => undefined)
  return found?.size === RESERVE_BYTES
}

const imageOf = (seed: string) => makeImage(seed, { layers: 1, layerBytes: 100_000 })

/** Pushes again and again, as a client's retries do, until the node takes it. */
async function pushInTime({ hq }: Rig, tag: string, image: TestManifest): Promise<void> {
  await eventually(async () => {
    await pushImage(hq.url, 'demo/app', tag, image)
    return true
  })
}

async function expectRefusal(answer: Response, status: number, text: string): Promise<void> {
  expect([answer.status, await errorsOf(answer)]).toEqual([
    status,
    [{ code: 'BLOB_UPLOAD_INVALID', message: expect.stringContaining(text) as string }],
  ])
}

/** What was acknowledged is there now and after a kill, whole. */
async function expectAll({ hq }: Rig, images: Readonly<Record<string, TestManifest>>) {
  const compareAll = async () => {
    for (const [tag, image] of Object.entries(images)) {
      await comparePull(hq.url, 'demo/app', tag, image)
    }
  }
  await compareAll()
  await hq.kill()
  await hq.start()
  await compareAll()
  expect(hq.log()).not.toMatch(UNHANDLED)
}

describe.skipIf(!canMount)('on a small disk (needs root on Linux)', () => {
  test('an upload cut by a full disk is answered with 507 and goes on from the offset told when space is back', async () => {
    await using rig = await startOnSmallDisk()
    const { hq, disk } = rig
    const before = imageOf('before')
    await pushImage(hq.url, 'demo/app', 'before', before)
    const blob = makeBlob(bytesOf('large', 6 * MIB))
    const begun = await fetch(`${hq.url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
    const location = `${hq.url}${begun.headers.get('location')}`
    await disk.fill(2.5 * MIB)
    const body = Uint8Array.from(blob.bytes)
    await expectRefusal(await fetch(location, { method: 'PATCH', body }), 507, 'is full')
    await comparePull(hq.url, 'demo/app', 'before', before)

    const offset = await offsetOf(location)
    expect(offset).toBeGreaterThan(MIB)
    expect(offset).toBeLessThan(blob.bytes.length)
    await disk.empty()
    const rest = await fetch(location, {
      method: 'PATCH',
      body: Uint8Array.from(blob.bytes.subarray(offset)),
      headers: { 'content-range': `${offset}-${blob.bytes.length - 1}` },
    })
    expect(rest.status).toBe(202)
    const done = await eventually(async () => {
      const answer = await fetch(`${location}?digest=${blob.digest}`, { method: 'PUT' })
      return answer.status === 503 ? undefined : answer
    })
    expect(done.status).toBe(201)
    const got = await fetch(`${hq.url}/v2/demo/app/blobs/${blob.digest}`)
    expect(Buffer.from(await got.arrayBuffer()).equals(blob.bytes)).toBe(true)
    await expectAll(rig, { before })
  })

  test('on a disk without a byte left pushes are refused and pulls work, and pushes after it are durable', async () => {
    await using rig = await startOnSmallDisk()
    const { hq, disk } = rig
    const [before, refused] = [imageOf('before'), imageOf('refused')]
    await pushImage(hq.url, 'demo/app', 'before', before)
    for (const blob of refused.blobs) await pushBlob(hq.url, 'demo/app', blob)
    await disk.fill()
    const put = () =>
      fetch(`${hq.url}/v2/demo/app/manifests/refused`, {
        method: 'PUT',
        body: Uint8Array.from(refused.bytes),
        headers: { 'content-type': refused.mediaType },
      })
    await expectRefusal(await put(), 507, 'is full')
    // The log of the index has room up to the end of a page; a node that has lost its reserve takes no byte more.
    const blob = makeBlob(bytesOf('large', MIB))
    await expect(pushBlob(hq.url, 'demo/app', blob)).rejects.toThrow(/50[37]/)
    await comparePull(hq.url, 'demo/app', 'before', before)
    expect(await digestAt(hq.url, 'demo/app', 'refused')).toBeUndefined()

    await disk.empty()
    const after = Object.fromEntries(
      Array.from({ length: 20 }, (_, at) => [`after-${at}`, imageOf(`after ${at}`)]),
    )
    for (const [tag, image] of Object.entries(after)) await pushInTime(rig, tag, image)
    expect((await put()).status).toBe(201)
    await expectAll(rig, { before, refused, ...after })
  })

  test('on a disk without a byte left a delete is taken, the collector frees its blobs, and pushes work again', async () => {
    await using rig = await startOnSmallDisk({
      flags: ['--keep-superseded', '0ms', '--keep-unused', '0ms'],
    })
    const { hq, disk } = rig
    const [before, after] = [imageOf('before'), imageOf('after')]
    const large = makeImage('large', { layers: 3, layerBytes: 10 * MIB })
    await pushImage(hq.url, 'demo/app', 'before', before)
    await pushImage(hq.url, 'demo/app', 'large', large)
    const { pid } = hq
    await disk.fill()
    await expect(pushImage(hq.url, 'demo/app', 'after', after)).rejects.toThrow(/50[37]/)

    const answer = await eventually(async () => {
      const url = `${hq.url}/v2/demo/app/manifests/${large.digest}`
      const one = await fetch(url, { method: 'DELETE' })
      return one.status === 503 ? undefined : one
    })
    expect(answer.status).toBe(202)
    // What deletes need is not for pushes: they are refused until there is a reserve again.
    expect(await hasReserve(hq)).toBe(false)
    const upload = await fetch(`${hq.url}/v2/demo/app/blobs/uploads/?digest=${large.digest}`, {
      method: 'POST',
      body: Uint8Array.from(large.bytes),
    })
    await expectRefusal(upload, 507, 'is full')
    const collected = await fetch(`${hq.url}/api/v1/gc?dryRun=false`, { method: 'POST' })
    expect([collected.status, await collected.text()]).toEqual([
      200,
      expect.stringContaining(large.blobs[1]?.digest ?? 'a layer') as string,
    ])
    await pushInTime(rig, 'after', after)
    expect(await hasReserve(hq)).toBe(true)
    expect(hq.pid).toBe(pid)
    await expectAll(rig, { before, after })
  })

  test('a delete is taken at once on a disk that others filled', async () => {
    await using rig = await startOnSmallDisk()
    const { hq, disk } = rig
    const [before, gone] = [imageOf('before'), imageOf('gone')]
    await pushImage(hq.url, 'demo/app', 'before', before)
    await pushImage(hq.url, 'demo/app', 'gone', gone)
    await disk.fill()
    const url = `${hq.url}/v2/demo/app/manifests/${gone.digest}`
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(202)
    await disk.empty()
    await eventually(() => hasReserve(hq))
    await expectAll(rig, { before })
    expect(await digestAt(hq.url, 'demo/app', 'gone')).toBeUndefined()
  })

  test('where only the index has no room, no push is acknowledged, and it recovers without a restart', async () => {
    await using rig = await startOnSmallDisk({ part: 'entrepot/index' })
    const { hq, disk } = rig
    const [before, after] = [imageOf('before'), imageOf('after')]
    await pushImage(hq.url, 'demo/app', 'before', before)
    await disk.fill()
    // The log of the index has room up to the end of a page.
    const taken: Record<string, TestManifest> = {}
    const refused = await eventually(async () => {
      const tag = `moved-${Object.keys(taken).length}`
      try {
        await putManifest(hq.url, 'demo/app', tag, before)
      } catch (err) {
        return err
      }
      taken[tag] = before
      return undefined
    })
    expect(String(refused)).toMatch(/50[37]/)
    await comparePull(hq.url, 'demo/app', 'before', before)

    await disk.empty()
    await pushInTime(rig, 'after', after)
    expect(hq.log()).toContain('index is written again')
    await expectAll(rig, { before, after, ...taken })
  })

  test('a node whose index has no room hears of images, fetches them when it has, and stays calm between', async () => {
    await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'] })
    const [hq, lon] = [mesh.node('hq'), mesh.node('lon')]
    const index = join(lon.dataDirectory, 'entrepot/index')
    await mkdir(index, { recursive: true })
    await using disk = await mountSmallDisk(index, DISK_MIB)
    await lon.start()
    const images = ['a', 'b', 'c'].map((tag) => [tag, imageOf(tag)] as const)
    const [first, ...others] = images
    if (first !== undefined) await pushImage(hq.url, 'demo/app', ...first)
    await eventually(() => digestAt(lon.url, 'demo/app', 'a'))
    await disk.fill()
    for (const [tag, image] of others) await pushImage(hq.url, 'demo/app', tag, image)
    await eventually(() => lon.log().includes('index is not written until'))
    expect(await digestAt(lon.url, 'demo/app', 'a')).toBe(first?.[1].digest)
    await disk.empty()
    for (const [tag, image] of images) {
      await eventually(() => digestAt(lon.url, 'demo/app', tag), { timeoutMs: 60_000 })
      await comparePull(lon.url, 'demo/app', tag, image)
    }
    // Waits, not loops: a loop writes thousands of lines.
    expect(lon.log().split('\n').length).toBeLessThan(200)
    expect(lon.log()).not.toMatch(UNHANDLED)
    // The node ends before its disk goes.
    await lon.kill()
  })

  test('a read-only disk is said in the answer, pulls work, and pushes work when it is writable again', async () => {
    await using rig = await startOnSmallDisk()
    const { hq, disk } = rig
    const [before, after] = [imageOf('before'), imageOf('after')]
    await pushImage(hq.url, 'demo/app', 'before', before)
    disk.makeReadOnly()
    const blob = makeBlob(bytesOf('refused', 1_000))
    const answer = await fetch(`${hq.url}/v2/demo/app/blobs/uploads/?digest=${blob.digest}`, {
      method: 'POST',
      body: Uint8Array.from(blob.bytes),
    })
    await expectRefusal(answer, 503, 'read-only')
    await comparePull(hq.url, 'demo/app', 'before', before)
    disk.makeWritable()
    await pushInTime(rig, 'after', after)
    await expectAll(rig, { before, after })
  })

  test('a node that is started on a full or a read-only disk says so in one line, and starts when that is mended', async () => {
    await using rig = await startOnSmallDisk()
    const { mesh, hq, disk } = rig
    const before = imageOf('before')
    await pushImage(hq.url, 'demo/app', 'before', before)
    await hq.kill()
    const serve = () =>
      spawnSync(
        process.execPath,
        [MAIN, 'serve', '--topology', mesh.topologyFile, '--node', 'hq', '--data', disk.path],
        { encoding: 'utf8', timeout: 30_000 },
      )
    await disk.fill()
    // With its reserve it would start: a delete is what the disk needs.
    await rm(reserveOf(hq))
    await disk.fill()
    const full = serve()
    expect([full.status, full.stderr]).toEqual([
      1,
      expect.stringMatching(/No space left.*; free space.*\n$/),
    ])
    await disk.empty()
    disk.makeReadOnly()
    const readOnly = serve()
    expect([readOnly.status, readOnly.stderr]).toEqual([
      1,
      expect.stringMatching(/Read-only file system; mount it writable.*\n$/),
    ])
    disk.makeWritable()
    for (const { stderr } of [full, readOnly]) expect(stderr).not.toMatch(/\n\s+at /)
    await hq.start()
    await expectAll(rig, { before })
  })
})

/** Bytes that the node has of an upload. */
async function offsetOf(location: string): Promise<number> {
  const answer = await fetch(location)
  expect(answer.status).toBe(204)
  return Number(answer.headers.get('range')?.split('-')[1]) + 1
}

/** One real node without graces: clients push, pull, move tags and delete while the collector runs without a pause. */
import { spawnSync } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { CollectionView } from '../../src/admin/views.ts'
import {
  bytesOf,
  makeBlob,
  makeImage,
  makeIndex,
  manifestsOf,
  type TestBlob,
  type TestManifest,
} from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { comparePull, pushBlob, pushImage } from '../helpers/registry-calls.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Of pushing, pulling, deleting and collecting at once. */
const SECONDS = Number(process.env.COLLECTOR_SECONDS ?? (process.env.CI === undefined ? 20 : 60))
const REPOSITORIES = ['demo/a', 'demo/b']
const PUSHERS = 4
const PULLERS = 2
const TAGS = 3
/** Layers that images are made of: so few that what was just superseded is soon wanted again. */
const LAYERS = Array.from({ length: 10 }, (_, at) =>
  makeBlob(bytesOf(`layer ${at}`, 1_000 + 20_000 * at)),
)

interface Shown {
  readonly repository: string
  readonly reference: string
  readonly image: TestManifest
}

/** What was answered, by key: it must be there until its pusher changes it. */
type Acknowledged = Map<string, Shown>

test(`for ${SECONDS} s of pushes, pulls, deletes and collections nothing shown is lost, and then nothing else is left`, async () => {
  const flags = ['--keep-superseded', '0s', '--keep-unused', '0s']
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'], flags })
  const { url, dataDirectory } = mesh.node('hq')
  const shown: Acknowledged = new Map()
  const faults: string[] = []
  const counts = { pushed: 0, again: 0, pulled: 0, deleted: 0, runs: 0, taken: 0 }
  const untilMs = performance.now() + SECONDS * 1_000
  // A machine with other work gets the time that it needs for some of everything.
  const hasAll = () =>
    counts.pushed >= 20 && Math.min(counts.pulled, counts.deleted, counts.taken) > 0
  const isOver = () => (performance.now() >= untilMs && hasAll()) || faults.length > 0

  async function pusher(number: number): Promise<void> {
    for (let turn = 0; !isOver(); turn += 1) {
      const repository = REPOSITORIES[turn % 2] ?? ''
      const reference = `p${number}-${turn % TAGS}`
      const key = `${repository}:${reference}`
      const before = shown.get(key)
      // While it changes, both the old and the new may be seen: nobody is asked to tell.
      shown.delete(key)
      if (before !== undefined && turn % 4 === 3) {
        const what = turn % 8 === 3 ? before.image.digest : reference
        await remove(`${url}/v2/${repository}/manifests/${what}`)
        counts.deleted += 1
        continue
      }
      const image = imageOf(number, turn)
      while (!(await push(url, repository, reference, image))) counts.again += 1
      counts.pushed += 1
      shown.set(key, { repository, reference, image })
      if (turn % 50 === 7) await pushByDigest(number, turn)
    }
  }

  /** For its own sake: no tag, no index, and there for ever. */
  async function pushByDigest(number: number, turn: number): Promise<void> {
    const image = makeImage(`by digest ${number} ${turn}`, { layers: 1 })
    const [repository = ''] = REPOSITORIES
    while (!(await push(url, repository, image.digest, image))) counts.again += 1
    shown.set(image.digest, { repository, reference: image.digest, image })
  }

  async function puller(number: number): Promise<void> {
    for (let turn = number; !isOver(); turn += 1) {
      const all = [...shown]
      const [key, one] = all[(turn * 7) % Math.max(1, all.length)] ?? []
      if (key === undefined || one === undefined) {
        await delay(10)
        continue
      }
      try {
        await comparePull(url, one.repository, one.reference, one.image)
        counts.pulled += 1
      } catch (err) {
        if (shown.get(key) === one) faults.push(`${key}: ${String(err)}`)
      }
    }
  }

  async function collector(): Promise<void> {
    while (!isOver()) {
      const { counts: taken } = await gc(url)
      counts.runs += 1
      counts.taken += Object.values(taken).reduce((sum, number) => sum + number, 0)
    }
  }

  await Promise.all([
    ...Array.from({ length: PUSHERS }, (_, at) => pusher(at)),
    ...Array.from({ length: PULLERS }, (_, at) => puller(at)),
    collector(),
  ])
  console.log(JSON.stringify(counts))
  expect(faults).toEqual([])

  await gc(url)
  for (const { repository, reference, image } of shown.values()) {
    await comparePull(url, repository, reference, image)
  }
  const parts = [...shown.values()].flatMap(({ image }) =>
    manifestsOf(image).flatMap((manifest) => [manifest, ...manifest.blobs]),
  )
  expect(await filesIn(join(dataDirectory, 'docker/registry/v2/blobs'))).toEqual(
    new Map(parts.map(({ digest, bytes }) => [digest, bytes.length])),
  )
  expect(await readdir(join(dataDirectory, 'entrepot/staging'))).toEqual([])
  expect((await gc(url, '?dryRun=true')).items).toEqual([])
})

test('the command says what goes and why, at a running node and in a directory that no node has open', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'] })
  const hq = mesh.node('hq')
  const [first, second] = [makeImage('first'), makeImage('second')]
  await pushImage(hq.url, 'demo/app', 'v1', first)
  await pushImage(hq.url, 'demo/app', 'v1', second)

  const planned = run('--dry-run', '--url', hq.url)
  // Less than seven days one millisecond later.
  expect(planned.stdout).toMatch(new RegExp(`in [67]d  manifest  demo/app    ${first.digest}`))
  expect(planned.stdout).toContain(`tag v1 shows ${second.digest.slice(0, 19)}.. now`)
  expect(planned.stdout).toContain('nothing is due')
  expect(run('--url', hq.url, '--keep-unused', '1h').status).toBe(2)
  const inUse = run('--data', hq.dataDirectory)
  expect([inUse.status, inUse.stderr]).toEqual([1, expect.stringContaining('is in use')])

  await hq.stop()
  const now = ['--data', hq.dataDirectory, '--keep-superseded', '0s', '--keep-unused', '0s']
  const dry = run(...now, '--dry-run', '--json')
  const { counts, freedBytes } = JSON.parse(dry.stdout) as CollectionView
  expect(counts).toEqual({ manifest: 1, link: 3, blob: 4, stage: 0, upload: 0 })
  const taken = run(...now)
  expect(taken.stdout).toContain(`took 1 manifest, 3 links, 4 blobs: ${freedBytes} B of disk`)
  expect(run(...now).stdout.trim()).toBe('nothing is due')
  await hq.start()
  await comparePull(hq.url, 'demo/app', 'v1', second)
  const gone = await fetch(`${hq.url}/v2/demo/app/manifests/${first.digest}`)
  expect(gone.status).toBe(404)
})

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'gc', ...args], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { status, stdout, stderr }
}

/** Two or three layers of the few, so that most are here already; every fifth is an index of two. */
function imageOf(number: number, turn: number): TestManifest {
  const some = (seed: number) => LAYERS.filter((_, at) => (seed + at * at) % 4 === 0)
  const one = makeImage(`image ${number} ${turn}`, { sharedLayers: some(turn * 3 + number) })
  if (turn % 5 !== 0) return one
  return makeIndex([one, makeImage(`other ${number} ${turn}`, { sharedLayers: some(turn + 1) })])
}

/** As docker does it: asks first, uploads what is not there. @returns false where it has to begin again. */
async function push(
  url: string,
  repository: string,
  reference: string,
  image: TestManifest,
): Promise<boolean> {
  for (const manifest of manifestsOf(image)) {
    for (const blob of manifest.blobs) await pushUnlessThere(url, repository, blob)
    const by = manifest === image ? reference : manifest.digest
    const answer = await fetch(`${url}/v2/${repository}/manifests/${by}`, {
      method: 'PUT',
      headers: { 'content-type': manifest.mediaType },
      body: Uint8Array.from(manifest.bytes),
    })
    const text = await answer.text()
    // The collector was between its upload and this: it is told so, and nothing is lost.
    if (answer.status === 404 && text.includes('MANIFEST_BLOB_UNKNOWN')) return false
    if (answer.status !== 201) throw new Error(`push: ${answer.status} ${text}`)
  }
  return true
}

async function pushUnlessThere(url: string, repository: string, blob: TestBlob): Promise<void> {
  const head = await fetch(`${url}/v2/${repository}/blobs/${blob.digest}`, { method: 'HEAD' })
  if (head.status === 200) return
  const mount = `${url}/v2/${repository}/blobs/uploads/?mount=${blob.digest}&from=${REPOSITORIES[0]}`
  const answer = await fetch(mount, { method: 'POST' })
  await answer.text()
  if (answer.status === 201) return
  // In one request instead: without a grace the session could be gone before its bytes. It counts until it is ended.
  await cancel(new URL(answer.headers.get('location') ?? '', url))
  await pushBlob(url, repository, blob)
}

async function cancel(session: URL): Promise<void> {
  const answer = await fetch(session, { method: 'DELETE' })
  // The collector may have come first.
  if (answer.status !== 204 && answer.status !== 404) {
    throw new Error(`cancel: ${answer.status} ${await answer.text()}`)
  }
}

async function remove(address: string): Promise<void> {
  const answer = await fetch(address, { method: 'DELETE' })
  if (answer.status !== 202) throw new Error(`delete: ${answer.status} ${await answer.text()}`)
}

async function gc(url: string, query = ''): Promise<CollectionView> {
  const answer = await fetch(`${url}/api/v1/gc${query}`, { method: 'POST' })
  if (!answer.ok) throw new Error(`gc: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as CollectionView
}

/** Bytes by digest. */
async function filesIn(root: string): Promise<ReadonlyMap<string, number>> {
  const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('/data'))
  const found = await Promise.all(
    files.map(async (name) => {
      const [algorithm, , hex] = name.split('/')
      return [`${algorithm}:${hex}`, (await stat(join(root, name))).size] as const
    }),
  )
  return new Map(found)
}

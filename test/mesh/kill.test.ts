/** A node that is killed at random moments: what it acknowledged is there, whole, and nothing else by halves. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { CollectionView } from '../../src/admin/views.ts'
import { createSeededRandom, type SeededRandom } from '../../src/simulator/seeded-random.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { createKillClient, type KillClient } from '../helpers/kill-client.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { pushImage } from '../helpers/registry-calls.ts'

/** Kills; `KILL_ROUNDS` asks for others. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? (process.env.CI === undefined ? 15 : 200))
/** Chooses the changes and the moments; how far the node comes until then is up to the machine. */
const SEED = process.env.KILL_SEED ?? String(process.pid)
/** Milliseconds: a start is half a second, and a busy machine needs several. */
const ROUND_TIMEOUT_MS = 5_000
/** Superseded images go at once; what a push brought before its manifest does not. */
const COLLECTING = ['--keep-superseded', '100ms', '--keep-unused', '1m']
/** In rounds, four without and four with. */
const isCollecting = (round: number): boolean => round % 8 >= 4

test(`after kill -9 at ${ROUNDS} random moments everything acknowledged is there, and nothing by halves (KILL_SEED=${SEED})`, {
  timeout: 60_000 + ROUNDS * ROUND_TIMEOUT_MS,
}, async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'] })
  const hq = mesh.node('hq')
  const random = createSeededRandom(SEED)
  const base = makeImage('shared', { layers: 3, layerBytes: 200_000 })
  const shared = { repository: 'demo/shared', layers: base.blobs }
  await pushImage(hq.url, shared.repository, 'v1', base)
  const collector = { taken: 0 }
  const clients = ['x', 'y', 'z'].map((name) =>
    createKillClient({ url: hq.url, name, random: createSeededRandom(`${SEED} ${name}`), shared }),
  )
  for (let round = 0; round < ROUNDS; round += 1) {
    const isCollected = isCollecting(round)
    const running = Promise.all([
      ...clients.map((client) => client.run()),
      ...(isCollected ? [collect(hq.url, collector)] : []),
    ])
    await Promise.race([running, delay(random.below(isCollected ? 600 : 250))])
    await hq.kill()
    await running
    if (random.below(5) === 0) await killWhileStarting(hq, random)
    await hq.start({ flags: isCollecting(round + 1) ? COLLECTING : [] })
    // A check asks for things, which keeps them until the next start: most collections come without.
    if (isCollected && isCollecting(round + 1) && round < ROUNDS - 1) continue
    await Promise.all(clients.map((client) => client.check({ isCollected })))
    await eventually(() => linksEqualIndex(hq, clients))
  }
  expect(await wrongBlobs(hq.dataDirectory)).toEqual([])
  expect(await readdir(join(hq.dataDirectory, 'entrepot', 'staging'))).not.toContainEqual(
    expect.stringMatching(/^put-/),
  )
  for (const client of clients) expect(client.acknowledged()).toBeGreaterThan(ROUNDS / 5)

  // What was asked for is kept until the next start. Nothing but what no tag shows has gone, and that has.
  await hq.restart({ flags: COLLECTING })
  await eventually(async () => {
    collector.taken += await collectOnce(hq.url)
    return collector.taken > 0
  })
  await Promise.all(clients.map((client) => client.check({ isCollected: true })))
})

/** Collects again and again until the node is gone. */
async function collect(url: string, total: { taken: number }): Promise<void> {
  for (;;) {
    try {
      total.taken += await collectOnce(url)
    } catch (err) {
      if (err instanceof TypeError) return
      throw err
    }
  }
}

/** @returns items taken. @throws TypeError when the node is gone: that is what fetch throws then */
async function collectOnce(url: string): Promise<number> {
  const answer = await fetch(`${url}/api/v1/gc?dryRun=false`, { method: 'POST' })
  const body = await answer.text()
  if (answer.status !== 200) throw new Error(`gc: ${answer.status} ${body}`)
  return (JSON.parse(body) as CollectionView).items.length
}

async function killWhileStarting(node: NodeProcess, random: SeededRandom): Promise<void> {
  const starting = node.start().catch(() => {})
  await delay(random.below(600))
  await node.kill()
  await starting
}

/** @throws where the link files of a tag are others than the index says */
async function linksEqualIndex(node: NodeProcess, clients: readonly KillClient[]): Promise<true> {
  for (const client of clients) {
    const root = join(node.dataDirectory, 'docker/registry/v2/repositories', client.repository)
    const shown = client.shown()
    const tags = await readdir(join(root, '_manifests/tags')).catch(() => [])
    expect(new Set(tags)).toEqual(new Set(shown.keys()))
    for (const [tag, digest] of shown) {
      const link = join(root, '_manifests/tags', tag, 'current/link')
      expect(await readFile(link, 'utf8')).toBe(digest)
    }
    const kinds = { manifests: '_manifests/revisions/sha256', blobs: '_layers/sha256' }
    for (const [kind, path] of Object.entries(kinds)) {
      const linked = await readdir(join(root, path)).catch(() => [])
      for (const hex of linked) {
        const url = `${node.url}/v2/${client.repository}/${kind}/sha256:${hex}`
        const answer = await fetch(url, { method: 'HEAD' })
        const link = await readFile(join(root, path, hex, 'link'), 'utf8').catch(() => undefined)
        // The directory of a link that was removed stays.
        if (link !== undefined)
          expect([url, link, answer.status]).toEqual([url, `sha256:${hex}`, 200])
        else expect([url, answer.status]).toEqual([url, 404])
      }
    }
  }
  return true
}

/** Blobs whose bytes are not what their name says. */
async function wrongBlobs(dataDirectory: string): Promise<readonly string[]> {
  const root = join(dataDirectory, 'docker/registry/v2/blobs/sha256')
  const files = await readdir(root, { recursive: true, withFileTypes: true })
  const wrong: string[] = []
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath, file.name)
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    if (hash.digest('hex') !== basename(dirname(path))) wrong.push(path)
  }
  return wrong
}

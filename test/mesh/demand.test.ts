/** How a node takes what its links bring it: some platforms, in a window, at a person's word. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jobsOf, recordsOf } from '../helpers/admin-calls.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { arrival } from '../helpers/pair.ts'
import { comparePull, digestAt, errorsOf, pushImage } from '../helpers/registry-calls.ts'

const REPO = 'team/app'

/** A hub that writes, and what stands below it. */
function topologyOf(policies: string, links: string, nodes = '{ hub: {}, relay: {}, edge: {} }') {
  return `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demand, generation: 1 }
nodes: ${nodes}
origins: [{ repos: ["**"], writers: hub }]
policies:
  ${policies}
links:
  ${links}
`
}

/** Whether the file of a blob is on the node's disk. */
function isOnDisk({ dataDirectory }: NodeProcess, digest: string): boolean {
  const [algorithm = '', hex = ''] = digest.split(':')
  return existsSync(
    join(dataDirectory, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data'),
  )
}

const partsOf = (image: TestManifest) => [image.digest, ...image.blobs.map(({ digest }) => digest)]

describe('platforms', () => {
  const image = makeIndex(['amd64', 'arm64'].map((name) => makeImage(name)))
  const [amd64, arm64] = image.children as [TestManifest, TestManifest]

  test('of an index only the wanted images come, also through a relay that has no more; the index stays as it was pushed', async () => {
    await using mesh = await startMesh({
      text: topologyOf(
        'arm: { match: { repos: ["**"], platforms: [linux/arm64] }, mode: eager }',
        '- { shape: star, center: hub, leaves: relay, policies: [arm] }\n  - { shape: star, center: relay, leaves: edge, policies: [arm] }',
      ),
    })
    const [hub, relay, edge] = ['hub', 'relay', 'edge'].map(mesh.node) as [
      NodeProcess,
      NodeProcess,
      NodeProcess,
    ]
    await pushImage(hub.url, REPO, 'v1', image)
    for (const node of [relay, edge]) {
      expect(await arrival(node, REPO, 'v1')).toBe(image.digest)
      const served = await fetch(`${node.url}/v2/${REPO}/manifests/v1`)
      expect(Buffer.compare(Buffer.from(await served.arrayBuffer()), image.bytes)).toBe(0)
      await comparePull(node.url, REPO, arm64.digest, arm64)
      for (const digest of partsOf(amd64)) expect(isOnDisk(node, digest), digest).toBe(false)
      const refused = await fetch(`${node.url}/v2/${REPO}/manifests/${amd64.digest}`)
      expect(refused.status).toBe(404)
      const [error] = await errorsOf(refused)
      expect(error?.code).toBe('MANIFEST_UNKNOWN')
      expect(error?.message).toContain('held here for linux/arm64; this manifest is of linux/amd64')
    }
    // It is all that they are to hold: nothing waits, and a restart fetches nothing.
    const converged = entrepot('converged', '--url', hub.url, '--timeout', '60s')
    expect(converged.stderr + converged.stdout).toContain('converged')
    expect(converged.status).toBe(0)
    await relay.restart()
    expect(await arrival(relay, REPO, 'v1')).toBe(image.digest)
    expect((await jobsOf(relay)).filter(({ state }) => state !== 'done')).toEqual([])
    const why = entrepot('why', 'edge', `${REPO}:v1`, '--url', edge.url)
    expect(why.stdout).toContain(`edge holds ${REPO}:v1 for linux/arm64`)
    expect(manifestsOf(image)).toHaveLength(3)
  })
})

describe('scheduled', () => {
  const MINUTE_MS = 60_000
  /** In a year, but for one minute of it. */
  const NEVER = '0 0 1 1 *'

  test('what is due is known at once, also after a restart, and comes when its window opens', async () => {
    const night = `{ cron: "${NEVER}", window: 1m, tz: UTC }`
    await using mesh = await startMesh({
      text: topologyOf(
        `night: { match: { repos: ["**"] }, mode: scheduled, schedule: ${night} }`,
        '- { shape: star, center: hub, leaves: edge, policies: [night] }',
        '{ hub: {}, edge: {} }',
      ),
    })
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = makeImage('image', { layerBytes: 10_000 })
    await pushImage(hub.url, REPO, 'v1', image)
    const bytesTotal = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const waiting = () =>
      eventually(async () => (await jobsOf(edge)).find(({ cause }) => cause === 'window'))
    for (const look of ['at first', 'after a restart']) {
      if (look === 'after a restart') await edge.restart()
      const { nextTryAtMs = 0, ...job } = await waiting()
      expect(job, look).toMatchObject({ state: 'waiting', bytesTotal })
      const opens = new Date(nextTryAtMs).toISOString()
      expect(opens).toMatch(/-01-01T00:00:00\.000Z$/)
      const why = entrepot('why', 'edge', `${REPO}:v1`, '--url', edge.url)
      expect(why.stdout).toContain(`waits for its window, which opens at ${opens}; `)
      const converged = entrepot('converged', '--url', edge.url)
      expect(converged.stdout).toContain(`1 transfer waits for its window (next opens ${opens})`)
      expect(converged.status).toBe(1)
      for (const digest of partsOf(image)) expect(isOnDisk(edge, digest)).toBe(false)
    }

    // The same node by a file whose window opens soon.
    const opensMs = Math.ceil((Date.now() + 1_000) / MINUTE_MS) * MINUTE_MS
    const text = await readFile(mesh.topologyFile, 'utf8')
    const soon = `${new Date(opensMs).getUTCMinutes()} * * * *`
    const changed = text.replace(NEVER, soon).replace('generation: 1', 'generation: 2')
    await writeFile(mesh.topologyFile, changed.replace('window: 1m', 'window: 30m'))
    await edge.restart()
    await eventually(() => digestAt(edge.url, REPO, 'v1'), { timeoutMs: 2 * MINUTE_MS })
    expect(Date.now()).toBeGreaterThanOrEqual(opensMs)
    await comparePull(edge.url, REPO, 'v1', image)
  })
})

describe('manual', () => {
  const TOPOLOGY = topologyOf(
    'word: { match: { repos: ["**"] }, mode: manual }',
    '- { shape: star, center: hub, leaves: edge, policies: [word] }',
    '{ hub: {}, edge: {} }',
  )

  test('an image comes at a person’s word, newer news needs another one, and the word outlives a restart', async () => {
    await using mesh = await startMesh({ text: TOPOLOGY })
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const [first, second] = [makeImage('first'), makeImage('second')]
    await pushImage(hub.url, REPO, 'v1', first)
    await eventually(async () => (await recordsOf(edge, REPO, 'v1'))[0]?.plan === 'on-word')
    expect(await digestAt(edge.url, REPO, 'v1')).toBeUndefined()
    const why = entrepot('why', 'edge', `${REPO}:v1`, '--url', edge.url)
    expect(why.stdout).toContain(`entrepot pull edge ${REPO}:v1`)

    const pulled = entrepot('pull', 'edge', `${REPO}:v1`, '--url', hub.url, '--wait')
    expect(pulled.stderr).toBe('')
    expect(pulled.status).toBe(0)
    await comparePull(edge.url, REPO, 'v1', first)
    const again = entrepot('pull', 'edge', `${REPO}:v1`, '--url', hub.url)
    expect([again.status, again.stdout]).toEqual([
      0,
      expect.stringContaining('edge holds team/app:v1'),
    ])
    const unknown = entrepot('pull', 'edge', `${REPO}:v9`, '--url', hub.url)
    expect([unknown.status, unknown.stderr]).toEqual([1, expect.stringContaining('not heard of')])

    await pushImage(hub.url, REPO, 'v1', second)
    await eventually(async () => (await recordsOf(edge, REPO, 'v1'))[0]?.plan === 'on-word')
    await comparePull(edge.url, REPO, 'v1', first)

    // Its source is away, and so is the node for a while: the word stands.
    await hub.stop()
    const wait = ['--url', edge.url, '--wait', '--timeout', '1s']
    const vain = entrepot('pull', 'edge', `${REPO}:v1`, ...wait)
    expect(vain.status).toBe(1)
    expect(vain.stdout).toMatch(/^team\/app:v1 is not at edge after 1s\. .*It goes on without/)
    await edge.restart()
    await hub.start()
    await eventually(async () => (await digestAt(edge.url, REPO, 'v1')) === second.digest)
    await comparePull(edge.url, REPO, 'v1', second)
  })
})

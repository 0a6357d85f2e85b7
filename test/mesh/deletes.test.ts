/** Deletes at nodes that are no writers: each edge has a rule of its own for what its hub deletes. */
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { CollectionView } from '../../src/admin/views.ts'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, type TestManifest } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const REPO = 'demo/app'
const GRACE_MS = 5_000

const topologyWith = (edges: Readonly<Record<string, string>>) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: deletes, generation: 1 }
nodes: { hub: {}, ${Object.keys(edges)
  .map((name) => `${name}: {}`)
  .join(', ')} }
origins: [{ repos: ["**"], writers: hub }]
policies:
${Object.entries(edges)
  .map(([name, rule]) => `  ${name}: { match: { repos: ["**"] }, mode: eager, deletes: ${rule} }`)
  .join('\n')}
links:
${Object.keys(edges)
  .map((name) => `  - { shape: star, center: hub, leaves: ${name}, policies: [${name}] }`)
  .join('\n')}
`
const SOON = `{ propagate: true, grace: ${GRACE_MS / 1_000}s }`
/** What nothing needs goes with the first run of the collector. */
const flags = ['--keep-superseded', '0s', '--keep-unused', '0s']

async function push({ url }: NodeProcess, ...tags: readonly string[]): Promise<TestManifest[]> {
  const images = tags.map((tag) => makeImage(tag, { layers: 1 }))
  for (const [at, image] of images.entries()) await pushImage(url, REPO, tags[at] ?? '', image)
  return images
}

async function remove({ url }: NodeProcess, ...tags: readonly string[]): Promise<void> {
  for (const tag of tags) {
    const answer = await fetch(`${url}/v2/${REPO}/manifests/${tag}`, { method: 'DELETE' })
    expect(answer.status).toBe(202)
  }
}

async function tagsAt({ url }: NodeProcess): Promise<readonly string[]> {
  const answer = await fetch(`${url}/v2/${REPO}/tags/list`)
  return answer.ok ? ((await answer.json()) as { readonly tags: readonly string[] }).tags : []
}

const shows = (node: NodeProcess, ...tags: readonly string[]) =>
  eventually(async () => (await tagsAt(node)).join() === tags.join())

/** When the node will delete the tag, which it has heard of by then; milliseconds since the Unix epoch. */
const goesAt = (node: NodeProcess, tag: string) =>
  eventually(async () => (await recordsOf(node, REPO, tag))[0]?.goesAtMs)

test('a delete is applied after its grace where a policy propagates it, and nowhere else', async () => {
  await using mesh = await startMesh({
    text: topologyWith({ soon: SOON, never: '{ propagate: false }' }),
  })
  const [hub, soon, never] = [mesh.node('hub'), mesh.node('soon'), mesh.node('never')]
  await push(hub, 'v1', 'v2')
  for (const node of [soon, never]) await shows(node, 'v1', 'v2')

  await remove(hub, 'v1')
  expect(await tagsAt(hub)).toEqual(['v2'])
  const goesAtMs = await goesAt(soon, 'v1')
  const why = entrepot('why', 'soon', `${REPO}:v1`, '--url', soon.url).stdout
  // The machine may be so slow that it is gone by now.
  if (Date.now() < goesAtMs) expect(why).toMatch(/goes on serving it until|about to remove it/)
  await eventually(async () => (await digestAt(soon.url, REPO, 'v1')) === undefined)
  expect(Date.now()).toBeGreaterThanOrEqual(goesAtMs)
  expect(await tagsAt(soon)).toEqual(['v2'])

  const [record] = await eventually(async () => {
    const found = await recordsOf(never, REPO, 'v1')
    return found[0]?.deletedAtOrigin === true ? found : undefined
  })
  expect(record).toMatchObject({ plan: 'deleted-at-origin' })
  expect(record).not.toHaveProperty('goesAtMs')
  expect(await tagsAt(never)).toEqual(['v1', 'v2'])
})

test('a newer push in the grace keeps the tag', async () => {
  await using mesh = await startMesh({ text: topologyWith({ soon: SOON }) })
  const [hub, soon] = [mesh.node('hub'), mesh.node('soon')]
  await push(hub, 'v1', 'v2')
  await shows(soon, 'v1', 'v2')
  await remove(hub, 'v1')
  await goesAt(soon, 'v1')
  const again = makeImage('again')
  await pushImage(hub.url, REPO, 'v1', again)
  // Its delete is later: when it is applied, the other one would have been.
  await remove(hub, 'v2')
  await shows(soon, 'v1')
  await comparePull(soon.url, REPO, 'v1', again)
})

test('a node that was restarted in the grace, or was away, applies what was deleted', async () => {
  await using mesh = await startMesh({ text: topologyWith({ soon: SOON }) })
  const [hub, soon] = [mesh.node('hub'), mesh.node('soon')]
  await push(hub, 'v1', 'v2', 'v3')
  await shows(soon, 'v1', 'v2', 'v3')
  await remove(hub, 'v1')
  const goesAtMs = await goesAt(soon, 'v1')
  await soon.kill()
  await soon.start()
  await shows(soon, 'v2', 'v3')
  expect(Date.now()).toBeGreaterThanOrEqual(goesAtMs)

  await soon.stop()
  await remove(hub, 'v2')
  await soon.start()
  await shows(soon, 'v3')
})

test('the newest tags stay, until newer ones come', async () => {
  await using mesh = await startMesh({
    text: topologyWith({ last: '{ propagate: true, keepLast: 2 }' }),
  })
  const [hub, last] = [mesh.node('hub'), mesh.node('last')]
  // The names do not tell the order.
  await push(hub, 'z', 'm', 'a')
  await shows(last, 'a', 'm', 'z')
  await remove(hub, 'a', 'm', 'z')
  await shows(last, 'a', 'm')
  const [stays] = await recordsOf(last, REPO, 'm')
  expect(stays).toMatchObject({ deletedAtOrigin: true })
  expect(entrepot('why', 'last', `${REPO}:m`, '--url', last.url).stdout).toContain('keepLast')
  await push(hub, 'b')
  await shows(last, 'a', 'b')
})

test('too many deletes wait for a person, also after a restart, and go at its word', async () => {
  await using mesh = await startMesh({
    text: topologyWith({ guarded: '{ propagate: true, grace: 1s, guard: 20% }' }),
  })
  const [hub, guarded] = [mesh.node('hub'), mesh.node('guarded')]
  const all = ['v1', 'v2', 'v3', 'v4', 'v5']
  await push(hub, ...all)
  await shows(guarded, ...all)
  await guarded.stop()
  await remove(hub, 'v1', 'v2', 'v3')
  await guarded.start()
  const waiting = async () => {
    const [one] = (await statusOf(guarded)).heldUpDeletes ?? []
    return one?.deletes === 3 ? one : undefined
  }
  expect(await eventually(waiting)).toMatchObject({ repository: REPO, tags: 5 })
  await guarded.kill()
  await guarded.start()
  await eventually(waiting)
  expect(await tagsAt(guarded)).toEqual(all)
  expect(guarded.log().split('wait for a person').length - 1).toBe(1)

  const metrics = await (await fetch(`${guarded.url}/metrics`)).text()
  expect(metrics).toContain('entrepot_deletes_held_up 3\n')

  const at = ['--url', hub.url]
  expect(entrepot('why', 'guarded', `${REPO}:v1`, ...at).stdout).toContain(
    `entrepot deletes guarded --confirm ${REPO}`,
  )
  const listed = entrepot('deletes', 'guarded', ...at).stdout
  expect(listed).toContain(`3 of the 5 tags of ${REPO} wait for a person`)
  const confirmed = entrepot('deletes', 'guarded', '--confirm', REPO, ...at)
  expect(confirmed).toMatchObject({ status: 0, stdout: expect.stringContaining('3 deletes') })
  await shows(guarded, 'v4', 'v5')
  expect(await statusOf(guarded)).not.toHaveProperty('heldUpDeletes')
  const nothing = entrepot('deletes', 'guarded', '--confirm', REPO, ...at)
  expect(nothing.status).toBe(1)
  expect(nothing.stderr).toContain(`shows no tag of ${REPO} that was deleted`)
})

test('what a delete took away frees its space, and what another tag names stays', async () => {
  const text = topologyWith({ edge: '{ propagate: true }' })
  await using mesh = await startMesh({ text }, { flags })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [shared, alone] = [makeImage('shared'), makeImage('alone', { layerBytes: 100_000 })]
  await pushImage(hub.url, REPO, 'v1', shared)
  await pushImage(hub.url, REPO, 'v2', shared)
  await pushImage(hub.url, REPO, 'v3', alone)
  await shows(edge, 'v1', 'v2', 'v3')
  await remove(hub, 'v1', 'v3')
  await shows(edge, 'v2')
  const answer = await fetch(`${edge.url}/api/v1/gc`, { method: 'POST' })
  const { counts, freedBytes } = (await answer.json()) as CollectionView
  expect(counts).toMatchObject({ manifest: 1, blob: alone.blobs.length + 1 })
  expect(freedBytes).toBeGreaterThanOrEqual(100_000)
  await comparePull(edge.url, REPO, 'v2', shared)
  const [layer] = alone.blobs
  expect((await fetch(`${edge.url}/v2/${REPO}/blobs/${layer?.digest}`)).status).toBe(404)
})

test('an image that was pushed by digest too goes where only its tag brought it, and stays at its writer', async () => {
  const text = topologyWith({ edge: '{ propagate: true }' })
  await using mesh = await startMesh({ text }, { flags })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const image = makeImage('twice')
  await pushImage(hub.url, REPO, image.digest, image)
  await pushImage(hub.url, REPO, 'v1', image)
  await eventually(async () => (await digestAt(edge.url, REPO, image.digest)) === image.digest)
  await shows(edge, 'v1')
  await remove(hub, 'v1')
  await shows(edge)
  for (const { url } of [hub, edge]) await fetch(`${url}/api/v1/gc`, { method: 'POST' })
  expect(await digestAt(edge.url, REPO, image.digest)).toBeUndefined()
  await comparePull(hub.url, REPO, image.digest, image)
  // It comes back with a tag.
  await pushImage(hub.url, REPO, 'v2', image)
  await shows(edge, 'v2')
  await comparePull(edge.url, REPO, image.digest, image)
})

test('a topology that stops to propagate keeps what was deleted, and one that begins to lets it go', async () => {
  const text = topologyWith({ edge: '{ propagate: true, grace: 90m }' })
  await using mesh = await startMesh({ text })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  await push(hub, 'v1', 'v2')
  await shows(edge, 'v1', 'v2')
  await remove(hub, 'v1')
  await goesAt(edge, 'v1')
  const file = await readFile(mesh.topologyFile, 'utf8')
  const change = async (generation: number, rule: string) => {
    const changed = file
      .replace('generation: 1', `generation: ${generation}`)
      .replace('{ propagate: true, grace: 90m }', rule)
    await writeFile(mesh.topologyFile, changed)
    for (const { pid } of [hub, edge]) process.kill(pid ?? 0, 'SIGHUP')
    await eventually(async () => (await statusOf(edge)).generation === generation)
  }
  await change(2, '{ propagate: false }')
  const [kept] = await recordsOf(edge, REPO, 'v1')
  expect(kept).toMatchObject({ plan: 'deleted-at-origin', deletedAtOrigin: true })
  await change(3, '{ propagate: true, grace: 1s }')
  await shows(edge, 'v2')
})

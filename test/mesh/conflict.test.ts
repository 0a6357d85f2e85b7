import { expect, test } from 'vitest'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { comparePull, digestAt, errorsOf, pushImage } from '../helpers/registry-calls.ts'

/** Two writers that meet at a node between them: while it is down neither hears of the other. */
const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: fought-over, generation: 1 }
nodes: { fra: {}, iad: {}, mid: {} }
origins:
  - { repos: ["**"], writers: [fra, iad], conflict: { tags: register, resolve: hlc-lww, keep: losers-as-suffixed-tag } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: mid, leaves: [fra, iad], flow: both, policies: [all] }
`
const APP = 'team/app'

async function tagsAt(url: string): Promise<readonly string[]> {
  const answer = await fetch(`${url}/v2/${APP}/tags/list`)
  return answer.ok ? ((await answer.json()) as { tags: readonly string[] }).tags : []
}

async function everywhere(mesh: MeshProcess, holds: (url: string) => Promise<boolean>) {
  for (const { url } of mesh.nodes) await eventually(() => holds(url))
}

test('two pushes that did not know of each other: one winner everywhere, the loser under a tag of its own until somebody pushes again', async () => {
  await using mesh = await startMesh({ text: TOPOLOGY })
  const [fra, iad, mid] = [mesh.node('fra'), mesh.node('iad'), mesh.node('mid')]
  const [lost, won, next] = [makeImage('lost'), makeImage('won'), makeImage('next')]
  await pushImage(fra.url, APP, 'v0', makeImage('before'))
  await everywhere(mesh, async (url) => (await tagsAt(url)).includes('v0'))

  await mid.stop()
  await pushImage(fra.url, APP, 'v1', lost)
  const signature = makeImage('signature', { subject: lost })
  await pushImage(fra.url, APP, signature.digest, signature)
  await pushImage(iad.url, APP, 'v1', won)
  await mid.start()

  await everywhere(mesh, async (url) => (await digestAt(url, APP, 'v1')) === won.digest)
  await everywhere(mesh, async (url) => (await tagsAt(url)).length === 3)
  const [, , tag = ''] = (await tagsAt(fra.url)).toSorted()
  expect(tag).toMatch(/^v1--fra-\d{8}T\d{6}\.\d{3}Z$/)
  for (const { url, log, name } of mesh.nodes) {
    expect(await tagsAt(url), name).toEqual(['v0', 'v1', tag])
    await comparePull(url, APP, tag, lost)
    await comparePull(url, APP, 'v1', won)
    expect((await statusOf({ url })).counters.conflicts, name).toBe(1)
    expect(log().match(/concurrent pushes of one tag/g), name).toHaveLength(1)
    await eventually(async () => {
      const answer = await fetch(`${url}/v2/${APP}/referrers/${lost.digest}`)
      return ((await answer.json()) as { manifests: unknown[] }).manifests.length === 1
    })
  }

  const [view] = await recordsOf(mid, APP, 'v1')
  expect(view).toMatchObject({
    known: [
      { role: 'winner', writer: 'iad', digest: won.digest, isServed: true, seen: {} },
      { role: 'loser', writer: 'fra', digest: lost.digest, isServed: true, tag },
    ],
  })
  await eventually(async () => {
    const [{ neighbours = [] } = {}] = await recordsOf(mid, APP, 'v1')
    return neighbours.every(({ isBehind, holds }) => isBehind === false && holds.length === 2)
  })

  for (const { url } of [fra, iad]) {
    const pushed = await fetch(`${url}/v2/${APP}/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'content-type': won.mediaType },
      body: Uint8Array.from(won.bytes),
    })
    expect(await errorsOf(pushed)).toMatchObject([
      { code: 'DENIED', message: expect.stringContaining('push or delete v1') },
    ])
    const deleted = await fetch(`${url}/v2/${APP}/manifests/${tag}`, { method: 'DELETE' })
    expect(deleted.status).toBe(403)
  }

  const why = entrepot('why', 'mid', `${APP}:${tag}`, '--url', mid.url)
  expect([why.status, why.stdout]).toEqual([
    0,
    expect.stringMatching(
      /^mid serves team\/app:v1--fra-\S+: the push of team\/app:v1 \(put .* by fra .*\) that lost to a concurrent one \(put .* by iad/,
    ),
  ])

  // Its tag is derived anew from what is on disk.
  await mid.restart()
  await comparePull(mid.url, APP, tag, lost)

  await pushImage(fra.url, APP, 'v1', next)
  expect(await tagsAt(fra.url)).toEqual(['v0', 'v1'])
  await everywhere(mesh, async (url) => (await digestAt(url, APP, 'v1')) === next.digest)
  await everywhere(mesh, async (url) => (await tagsAt(url)).length === 2)
  // Superseded: clients that pinned it still have it.
  for (const { url } of mesh.nodes) {
    expect(await digestAt(url, APP, tag)).toBeUndefined()
    expect(await digestAt(url, APP, lost.digest)).toBe(lost.digest)
  }
  const after = entrepot('why', 'mid', `${APP}:${tag}`, '--url', mid.url)
  expect(after.stdout).toContain('that lost to a concurrent one, until somebody pushed or deleted')
})

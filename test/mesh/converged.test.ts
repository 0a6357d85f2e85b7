/** Whether the mesh has converged, and why an image is at a node or is not, asked of real nodes by the command line. */
import { expect, test } from 'vitest'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { digestAt, pushImage, putManifest } from '../helpers/registry-calls.ts'

const CHAIN = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: chain, generation: 1 }
nodes: { hub: {}, eu: {}, shop: {}, attic: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  all: { match: { repos: ["**"] }, mode: eager, slo: { lag: 1m } }
  releases: { match: { repos: ["**"], tags: { include: ["v*"] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: eu, policies: [all] }
  - { shape: star, center: eu, leaves: shop, policies: [releases] }
`

interface Converged {
  readonly isConverged: boolean
  readonly nodes: readonly {
    readonly node: string
    readonly isReached: boolean
    readonly problems?: readonly string[]
  }[]
}

function commandsOf(mesh: MeshProcess) {
  const at = (name: string) => ['--url', mesh.node(name).url]
  return {
    converged: (from: string, ...flags: readonly string[]) => {
      const { status, stdout } = entrepot('converged', ...at(from), '--json', ...flags)
      return { status, ...(JSON.parse(stdout) as Converged) }
    },
    why: (from: string, node: string, image: string) => entrepot('why', node, image, ...at(from)),
  }
}

test('what is everywhere, what is on its way, and what a node that is down keeps back, is told apart', async () => {
  await using mesh = await startMesh({ text: CHAIN })
  const { converged, why } = commandsOf(mesh)
  const [hub, eu, shop] = [mesh.node('hub'), mesh.node('eu'), mesh.node('shop')]
  const [first, second] = [makeImage('first'), makeImage('second')]
  await pushImage(hub.url, 'demo/app', 'v1', first)
  await pushImage(hub.url, 'demo/app', 'dev', first)

  // Whoever is asked: right after the push, before anything has arrived, the answer is already sound.
  expect(converged('shop', '--wait', '--timeout', '60s', '--all')).toMatchObject({
    status: 0,
    isConverged: true,
  })
  expect(await digestAt(shop.url, 'demo/app', 'v1')).toBe(first.digest)

  const held = why('hub', 'shop', 'demo/app:v1')
  expect(held.status).toBe(0)
  expect(held.stdout).toMatch(/^shop holds demo\/app:v1: put .* by hub at .*from eu \(releases\)/)
  const filtered = why('hub', 'shop', 'demo/app:dev')
  expect(filtered.status).toBe(1)
  expect(filtered.stdout).toContain(
    'the link eu -> shop filters it out (policy releases lets other',
  )
  expect(why('shop', 'attic', 'demo/app:v1').stdout).toMatch(
    /^No chain of links leads from a writer/,
  )

  await eu.stop()
  await pushImage(hub.url, 'demo/app', 'v2', second)
  await eventually(() => why('hub', 'shop', 'demo/app:v2').stdout.includes('not connected: eu'))
  const cut = converged('hub')
  expect(cut).toMatchObject({ status: 1, isConverged: false })
  const rows = Object.fromEntries(cut.nodes.map((row) => [row.node, row]))
  expect(rows.eu).toMatchObject({ isReached: false })
  expect(rows.shop?.problems?.join()).toMatch(/no link to its source eu since/)
  expect(rows.hub?.problems).toEqual([])
  expect(converged('hub', '--without', 'eu')).toMatchObject({ status: 0 })

  const missing = why('hub', 'shop', 'demo/app:v2')
  expect(missing.status).toBe(1)
  expect(missing.stdout).toMatch(
    /^shop has not heard of demo\/app:v2. It would come by hub -> eu -> shop/,
  )
  expect(missing.stdout).toMatch(/on the way: hub holds demo\/app:v2/)
  const down = why('hub', 'eu', 'demo/app:v2')
  expect(down.status).toBe(1)
  expect(down.stdout).toMatch(/^eu cannot be asked about demo\/app:v2: no node answers/)
  expect(down.stdout).toMatch(/topology: demo\/app:v2 is to come to eu by hub -> eu/)
  expect(down.stdout).toMatch(/hub says of eu: down since .*it had read its feed to \d+ of \d+/)

  await eu.start()
  expect(converged('hub', '--wait', '--timeout', '60s', '--all')).toMatchObject({ status: 0 })
  expect(await digestAt(shop.url, 'demo/app', 'v2')).toBe(second.digest)

  const scrape = await (await fetch(`${shop.url}/metrics`)).text()
  expect(scrape).toContain('entrepot_lag_records{policy="releases"} 0')
  expect(scrape).toMatch(/entrepot_fetched_bytes_total\{source="eu"\} \d{3,}/)
  expect(scrape).toContain('entrepot_neighbour_up{neighbour="eu"} 1')
}, 180_000)

test('a node that waits for content, or was told by a person to wait, is behind and says why', async () => {
  await using mesh = await startMesh(
    { text: CHAIN },
    { start: ['hub', 'eu'], flags: ['--sparse', 'accept'] },
  )
  const { converged, why } = commandsOf(mesh)
  const [hub, eu] = [mesh.node('hub'), mesh.node('eu')]
  const image = makeImage('sparse')
  await putManifest(hub.url, 'demo/app', 'v1', image)
  const id = `demo/app@${image.digest}`
  const waits = await eventually(() => {
    const { stdout } = why('hub', 'eu', 'demo/app:v1')
    return stdout.includes('waits for somebody who has all of demo') ? stdout : undefined
  })
  expect(waits).toMatch(
    /no connected holder has all of it; what is missing: sha256:.*hub: not there/,
  )
  const problemsOf = (name: string) =>
    converged('hub')
      .nodes.find(({ node }) => node === name)
      ?.problems?.join()
  expect(problemsOf('eu')).toMatch(/1 transfer open, the oldest \d+/)

  expect(entrepot('jobs', 'cancel', id, '--url', eu.url).stdout).toContain('held')
  expect(problemsOf('eu')).toMatch(/1 held by a person/)
  expect(why('hub', 'eu', 'demo/app:v1').stdout).toMatch(/a person holds it .*jobs retry/)

  expect(entrepot('jobs', 'retry', id, '--url', eu.url).stdout).toContain(id)
  await pushImage(hub.url, 'demo/app', 'v1', image)
  expect(converged('hub', '--wait', '--timeout', '60s')).toMatchObject({ status: 0 })
  expect(await digestAt(eu.url, 'demo/app', 'v1')).toBe(image.digest)
  expect(entrepot('jobs', '--state', 'done', '--url', eu.url).stdout).toContain(id)
}, 120_000)

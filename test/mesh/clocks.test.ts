/** Wrong clocks of real nodes, by Debian's faketime. */
import { expect } from 'vitest'
import { testWith } from '../clients/programs.ts'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { digestAt, pushImage } from '../helpers/registry-calls.ts'

const TEXT = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: clocks, generation: 1 }
nodes: { a: {}, b: {}, c: {}, edge: {} }
origins:
  - { repos: ["**"], writers: [a, b, c], conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: mesh, members: [a, b, c], policies: [all] }
  - { shape: star, center: b, leaves: [edge], policies: [all] }
`
/** Four nodes start beside others' tests: that they are behind with their work is not what is looked at. */
const PATIENT = ['--limit', 'loop-delay=60000']
const off = (by: string) => ({
  wrapper: ['faketime', '-f', by],
  env: { FAKETIME_DONT_FAKE_MONOTONIC: '1' },
})

testWith(['faketime'])(
  'a writer an hour ahead answers pushes with 503 and why, serves on, and takes pushes when its clock is right',
  async () => {
    await using mesh = await startMesh({ text: TEXT }, { start: [], flags: PATIENT })
    const [a, b, edge] = ['a', 'b', 'edge'].map((name) => mesh.node(name))
    if (a === undefined || b === undefined || edge === undefined) throw new Error('three nodes')
    await Promise.all([
      a.start(off('+1h')),
      b.start(),
      mesh.node('c').start(),
      edge.start(off('-1h')),
    ])
    const refusal = await eventually(async () => {
      const { time } = await statusOf(a)
      return time.refusal?.includes('median of 2') === true ? time.refusal : undefined
    })
    expect(refusal).toMatch(/^the clock of node a is 3[56]\d\d s ahead of b, c /)

    const upload = await fetch(`${a.url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
    expect(upload.status).toBe(503)
    expect(Number(upload.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await upload.json()).toMatchObject({
      errors: [{ message: expect.stringContaining('NTP') }],
    })
    const ready = await fetch(`${a.url}/readyz`)
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      { writing: expect.stringContaining('ahead of') },
    ])

    // News of the others come to it, and to an edge that is behind, as fast as ever.
    const image = makeImage('clocks')
    // As long as b hears the wrong clock alone, it cannot tell whose it is.
    await eventually(async () => (await statusOf(b)).time.refusal === undefined)
    await pushImage(b.url, 'demo/app', 'v1', image)
    for (const node of [a, edge]) {
      await eventually(async () => (await digestAt(node.url, 'demo/app', 'v1')) === image.digest)
    }
    const gone = await fetch(`${a.url}/v2/demo/app/manifests/v1`, { method: 'DELETE' })
    expect(gone.status).toBe(503)
    expect(a.log().match(/clock is wrong/g)).toHaveLength(1)

    await a.stop()
    await a.start({ wrapper: [], env: {} })
    await eventually(async () =>
      (await statusOf(a)).neighbours.every(({ state }) => state === 'up'),
    )
    const next = makeImage('next')
    await pushImage(a.url, 'demo/app', 'v2', next)
    await eventually(async () => (await digestAt(edge.url, 'demo/app', 'v2')) === next.digest)
    expect((await statusOf(a)).time.refusal).toBeUndefined()
  },
)

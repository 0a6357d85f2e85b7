import { expect, test } from 'vitest'
import { startChangingMesh, untilRuns } from '../helpers/changing-mesh.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { recordsOf } from '../helpers/admin-calls.ts'
import { pushImage } from '../helpers/registry-calls.ts'

const LAZY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: lazy, generation: 1 }
nodes: { hq: {}, lon: {} }
origins: [{ repos: ["**"], writers: [hq] }]
policies:
  all: { match: { repos: ["**"] }, mode: lazy }
links:
  - { shape: star, center: hq, leaves: [lon], policies: [all] }
`
test('lazy during swap', async () => {
  await using changing = await startChangingMesh(LAZY)
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  for (let n = 0; n < 150; n += 1) await pushImage(hq.url, 'a/app', `v${n}`, makeImage(`image ${n}`, {layers: 1, layerBytes: 1000}))
  await eventually(async () => (await recordsOf(lon, 'a/app', 'v149')).length > 0)
  let done = false
  const applied = changing.apply('lon', changing.text(2)).then(() => untilRuns(hq, 2)).then(() => { done = true })
  const seen: string[] = []
  const t0 = performance.now()
  for (let n = 0; n < 150; n += 1) {
    const a = await fetch(`${lon.url}/v2/a/app/manifests/v${n}`, { method: 'HEAD' })
    seen.push(`${n} ${a.status} ${Math.round(performance.now() - t0)}${done ? ' done' : ''}`)
  }
  await applied
  console.log(seen.join('\n'))
  expect(seen.filter((s) => !s.includes(' 200 '))).toEqual([])
})

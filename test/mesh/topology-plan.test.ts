/** `entrepot topology` as people call it: what it prints, its exit codes, and a plan with the sizes of a running node. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { entrepot } from '../helpers/command.ts'
import { makeImage, makeIndex } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { makeTemporaryDirectory } from '../helpers/temporary-directory.ts'
import { shippedText } from '../helpers/topology-texts.ts'

const shipped = (name: string) =>
  fileURLToPath(new URL(`../../topologies/${name}.yaml`, import.meta.url))

describe('entrepot topology', () => {
  test('check and test end with 0, 1 where a promise is broken or the file is wrong, and 2 where there is none', async () => {
    await using directory = await makeTemporaryDirectory()
    const broken = join(directory.path, 'broken.yaml')
    await writeFile(broken, shippedText('ring').replace('direction: both', 'direction: forward'))
    const wrong = join(directory.path, 'wrong.yaml')
    await writeFile(wrong, shippedText('ring').replace('eager', 'egaer'))
    const files = [shipped('ring'), broken, wrong, join(directory.path, 'none.yaml')]
    const statuses = files.map((file) => entrepot('topology', 'check', file).status)
    expect(statuses).toEqual([0, 1, 1, 2])

    const { stdout, status } = entrepot('topology', 'test', broken)
    expect(status).toBe(1)
    expect(stdout).toContain(
      'ok    everybody gets it\n        b: present by a -> b (links[0], policy all)\n',
    )
    expect(stdout).toContain('FAIL  two links at most\n')
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('4 tests: 2 good, 2 failed')
    const { tests } = JSON.parse(entrepot('topology', 'test', broken, '--json').stdout)
    expect(tests[1]).toMatchObject({ name: 'one that is down does not cut the ring', ok: false })
  })

  test('a plan has the bytes of a running node, and says where one image goes', async () => {
    const text = (generation: number, platforms: string) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: plan, generation: ${generation} }
nodes: { hub: {}, shop: {} }
origins: [{ repos: ["**"], writers: hub }]
policies: { some: { match: { repos: ["demo/**"]${platforms} }, mode: eager, slo: { lag: 5m } } }
links: [{ from: hub, to: shop, policies: [some], bandwidth: [{ down: 8Mbit }] }]
`
    await using mesh = await startMesh({ text: text(1, ', platforms: [linux/arm64]') })
    const [amd, arm] = [makeImage('amd', { layerBytes: 1_000_000 }), makeImage('arm')]
    const { url } = mesh.node('hub')
    await pushImage(url, 'demo/app', 'v1', makeIndex([amd, arm]))
    await pushImage(url, 'demo/app', 'v2', makeIndex([amd, arm]))
    await pushImage(url, 'other/app', 'v1', arm)
    const next = join(mesh.directory, 'next.yaml')
    await writeFile(next, text(2, ''))

    const plan = entrepot('topology', 'plan', mesh.topologyFile, next, '--url', url, '--json')
    expect(plan.status).toBe(0)
    const bytes = amd.blobs.reduce((sum, blob) => sum + blob.bytes.length, 0)
    const { moves, changes, slowest } = JSON.parse(plan.stdout).plan
    expect(moves).toEqual([{ from: 'hub', to: 'shop', bytes, ms: Math.ceil((bytes * 8) / 8_000) }])
    expect(changes).toEqual([])
    expect(slowest.link).toMatchObject({ from: 'hub', to: 'shop', best: 8e6 })
    const { stdout } = entrepot('topology', 'plan', mesh.topologyFile, next, '--url', url)
    expect(stdout).toContain(
      'To move: 2.0 MB, from now at the rates of the file:\n  hub -> shop  2.0 MB  3s\n',
    )

    const image = entrepot('topology', 'plan', next, '--image', 'demo/app:v1')
    expect(image.stdout).toMatch(
      /shop +present +at once +5m +hub -> shop \(links\[0\], policy some\)\n$/,
    )
    const away = entrepot('topology', 'plan', next, '--image', 'demo/app:v1', '--from', 'nobody')
    expect([away.status, away.stderr]).toEqual([
      2,
      'entrepot: --from: the topology has no node nobody\n',
    ])
  })
})

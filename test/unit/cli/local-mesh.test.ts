import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFreePorts } from '../../../src/cli/free-ports.ts'
import { prepareLocalMesh } from '../../../src/cli/local-mesh.ts'
import { spreadOf } from '../../../src/cli/spread.ts'
import { loadTopology } from '../../../src/cli/topology.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

const HIERARCHICAL = new URL('../../../topologies/hierarchical.yaml', import.meta.url).pathname

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mesh-'))
})
afterEach(() => rm(directory, { recursive: true }))

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

describe('cli / local mesh', () => {
  test('every node gets an endpoint, a mesh address and a peer id, and comments stay', async () => {
    const { topology, nodes, topologyFile } = await prepareLocalMesh(
      await loadTopology(HIERARCHICAL),
      directory,
    )
    expect(nodes).toHaveLength(7)
    for (const { endpoint, mesh, peerId } of topology.nodes.values()) {
      expect(endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
      expect(mesh).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/)
      expect(peerId).toMatch(/^12D3KooW/)
    }
    expect(await readFile(topologyFile, 'utf8')).toContain('# Three levels')
  })

  test('the next run keeps addresses and identities', async () => {
    const loaded = await loadTopology(HIERARCHICAL)
    const first = await prepareLocalMesh(loaded, directory)
    const second = await prepareLocalMesh(loaded, directory)
    expect(second.topology.hash).toBe(first.topology.hash)
  })

  test('a port that another program took meanwhile is replaced, the others stay', async () => {
    const loaded = await loadTopology(HIERARCHICAL)
    const first = await prepareLocalMesh(loaded, directory)
    const server = await listen(Number(new URL(first.nodes[0]!.url).port))
    try {
      const second = await prepareLocalMesh(loaded, directory)
      const changed = second.nodes.filter(({ url }, at) => url !== first.nodes[at]?.url)
      expect(changed.map(({ name }) => name)).toEqual([first.nodes[0]?.name])
    } finally {
      server.close()
    }
  })

  test('what the file says of a node is kept', async () => {
    const text = await readFile(HIERARCHICAL, 'utf8')
    const file = join(directory, 'file.yaml')
    const endpoint = 'http://127.0.0.1:19876'
    await writeFile(file, text.replace('hub: {', `hub: { endpoint: "${endpoint}",`))
    const mesh = await prepareLocalMesh(await loadTopology(file), join(directory, 'data'))
    expect(mesh.topology.nodes.get('hub' as NodeName)?.endpoint).toBe(endpoint)
  })
})

describe('cli / free ports', () => {
  test('no port is given twice, wished or not', async () => {
    const ports = createFreePorts({ random: systemRandom })
    const wished = await ports.take(undefined)
    const given = [wished, await ports.take(wished)]
    for (let at = 0; at < 20; at += 1) given.push(await ports.take(undefined))
    expect(new Set(given).size).toBe(given.length)
  })

  test('where every port is taken it says so instead of trying for ever', async () => {
    const ports = createFreePorts({ random: { ...systemRandom, fraction: () => 0.5 } })
    await ports.take(undefined)
    await expect(ports.take(undefined)).rejects.toMatchObject({ code: 'NO_FREE_PORT' })
  })
})

describe('cli / spread', () => {
  test('a release goes level by level to the edges, another tag only to the regions', async () => {
    const { topology } = await loadTopology(HIERARCHICAL)
    const repository = 'demo/hello' as RepositoryName
    const levelsOf = async (tag: string) =>
      Object.fromEntries(
        await spreadOf(topology, 'hub' as NodeName, { repository, reference: tag as Tag }),
      )
    expect(await levelsOf('v1.0.0')).toEqual({
      hub: 0,
      eu: 1,
      us: 1,
      'eu-1': 2,
      'eu-2': 2,
      'us-1': 2,
      'us-2': 2,
    })
    expect(await levelsOf('latest')).toEqual({ hub: 0, eu: 1, us: 1 })
  })
})

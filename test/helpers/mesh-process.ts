/** A mesh of real nodes on loopback: a process each, with identities, free ports and the topology filled in. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { identityPath, loadOrCreateIdentity } from '../../src/node/identity-file.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { fillTopology, type NodeAddresses } from '../../src/topology/topology-fill.ts'
import { createNodeProcess, type NodeOptions, type NodeProcess } from './node-process.ts'
import { reservePort } from './ports.ts'

export interface MeshProcess extends AsyncDisposable {
  /** Removed at the end, with all data. */
  readonly directory: string
  readonly topologyFile: string
  readonly nodes: readonly NodeProcess[]
  /** @throws when the topology has no such node */
  node(name: string): NodeProcess
}

export interface MeshOptions extends NodeOptions {
  /** Which nodes to start; the others are prepared, and started with `node(name).start()`. Default: all. */
  readonly start?: readonly string[]
  /** Of the endpoints; with `https` each node needs flags with its certificate. Default: `http`. */
  readonly scheme?: 'http' | 'https'
  /** Where each node runs. Default: on loopback, at ports of its own. */
  readonly place?: (name: NodeName) => Place
}

/** Where a node runs: its addresses, and the command that puts a process there. */
export interface Place {
  readonly endpoint: string
  readonly mesh: string
  readonly within: readonly string[]
}

/** Text of a topology, or a file of `topologies/`. */
export type TopologySource = { readonly text: string } | { readonly file: string }

/** Resolves when every node that is to start is ready. Ends everything when one does not. */
export async function startMesh(
  source: TopologySource,
  { start, scheme = 'http', place, ...nodeOptions }: MeshOptions = {},
): Promise<MeshProcess> {
  await using building = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-mesh-'))
  building.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))

  const text = 'text' in source ? source.text : await readFile(shippedFile(source.file), 'utf8')
  const onLoopback = async (): Promise<Place> => {
    const registry = building.use(await reservePort())
    const mesh = building.use(await reservePort())
    const endpoint = `${scheme}://127.0.0.1:${registry.port}`
    return { endpoint, mesh: `/ip4/127.0.0.1/tcp/${mesh.port}`, within: [] }
  }
  const addresses = new Map<NodeName, NodeAddresses>()
  const commands = new Map<NodeName, readonly string[]>()
  for (const name of namesOf(text)) {
    const { peerId } = await loadOrCreateIdentity(identityPath(join(directory, name)))
    const { within, ...where } = place?.(name) ?? (await onLoopback())
    addresses.set(name, { ...where, peerId })
    commands.set(name, within)
  }
  const topologyFile = join(directory, 'topology.yaml')
  await writeFile(topologyFile, fillTopology(text, addresses))

  const nodes = [...addresses].map(([name, { endpoint, mesh, peerId }]) =>
    building.use(
      createNodeProcess(
        {
          name,
          url: endpoint,
          meshAddress: mesh,
          peerId,
          dataDirectory: join(directory, name),
          topologyFile,
          within: commands.get(name) ?? [],
        },
        nodeOptions,
      ),
    ),
  )
  const find = (name: string) => {
    const found = nodes.find((node) => node.name === name)
    if (found !== undefined) return found
    throw new Error(`no node ${name}; there are ${nodes.map((node) => node.name).join(', ')}`)
  }
  await Promise.all((start?.map(find) ?? nodes).map((node) => node.start()))
  const parts = building.move()
  return {
    directory,
    topologyFile,
    nodes,
    node: find,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

function shippedFile(name: string): string {
  return fileURLToPath(new URL(`../../topologies/${name}`, import.meta.url))
}

function namesOf(text: string): readonly NodeName[] {
  const { topology, findings } = readTopology(text)
  if (topology !== undefined) return [...topology.nodes.keys()]
  throw new Error(`the topology is not valid: ${JSON.stringify(findings, undefined, 2)}`)
}

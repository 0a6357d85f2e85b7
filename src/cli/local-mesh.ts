/** A whole topology on this machine: addresses and an identity for every node, kept over restarts. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../lib/durable-file.ts'
import { EntrepotError } from '../lib/errors.ts'
import { systemRandom } from '../lib/random.ts'
import { identityPath, loadOrCreateIdentity } from '../node/identity-file.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import { fillTopology, type NodeAddresses } from '../topology/topology-fill.ts'
import { createFreePorts } from './free-ports.ts'

export interface LocalNode {
  readonly name: NodeName
  readonly url: string
  readonly dataDirectory: string
  readonly logFile: string
}

export interface LocalMesh {
  /** The file as it runs. */
  readonly topologyFile: string
  readonly topology: Topology
  readonly nodes: readonly LocalNode[]
}

/**
 * Gives every node what its file lacks: loopback addresses, the same as in an earlier run where they are free, and an identity.
 * Writes `<directory>/topology.yaml`.
 */
export async function prepareLocalMesh(
  { topology, text }: { readonly topology: Topology; readonly text: string },
  directory: string,
): Promise<LocalMesh> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const topologyFile = join(directory, 'topology.yaml')
  const earlier = readTopology(await readFile(topologyFile, 'utf8').catch(() => '')).topology
  const ports = createFreePorts({ random: systemRandom })
  const addresses = new Map<NodeName, NodeAddresses>()
  for (const { name } of topology.nodes.values()) {
    const before = earlier?.nodes.get(name)
    const { peerId } = await loadOrCreateIdentity(identityPath(join(directory, name)))
    addresses.set(name, {
      endpoint: `http://127.0.0.1:${await ports.take(portOf(before?.endpoint))}`,
      mesh: `/ip4/127.0.0.1/tcp/${await ports.take(portOf(before?.mesh))}`,
      peerId,
    })
  }
  const filled = fillTopology(text, addresses)
  const complete = readTopology(filled).topology
  if (complete === undefined)
    throw new EntrepotError('TOPOLOGY_INVALID', 'the filled topology is not valid')
  await writeDurably(topologyFile, filled)
  const nodes = [...complete.nodes.values()].map(({ name, endpoint = '' }) => {
    const dataDirectory = join(directory, name)
    return { name, url: endpoint, dataDirectory, logFile: join(dataDirectory, 'node.log') }
  })
  return { topologyFile, topology: complete, nodes }
}

/** The number at the end of an address. */
function portOf(address: string | undefined): number | undefined {
  const digits = /\d+$/.exec(address ?? '')?.[0]
  return digits === undefined ? undefined : Number(digits)
}

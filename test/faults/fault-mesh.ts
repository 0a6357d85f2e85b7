/** A mesh of real nodes, each in a network namespace of its own, so that links can be cut and slowed between them. */
import { readFile } from 'node:fs/promises'
import { readTopology } from '../../src/topology/topology-file.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { canMakeNamespaces, makeNamespaces, type Namespaces } from '../helpers/namespaces.ts'
import type { NodeOptions } from '../helpers/node-process.ts'

export interface FaultMesh extends AsyncDisposable {
  readonly mesh: MeshProcess
  readonly network: Namespaces
}

/** `npm run test:faults`: as much as proves something; without it, what shows that nothing is broken. */
export const isFull = process.env.FAULTS === 'full'

if (!canMakeNamespaces)
  console.log('faults: skipped, they need Linux and root to make network namespaces')
export const canRun = canMakeNamespaces

export interface FaultMeshOptions extends NodeOptions {
  readonly start?: readonly string[]
}

/** Starts a topology of `topologies/`. */
export async function startFaultMesh(
  file: string,
  { flags = [], ...options }: FaultMeshOptions = {},
): Promise<FaultMesh> {
  await using building = new AsyncDisposableStack()
  const text = await readFile(new URL(`../../topologies/${file}`, import.meta.url), 'utf8')
  const network = building.use(
    makeNamespaces([...(readTopology(text).topology?.nodes.keys() ?? [])]),
  )
  // What comes from another namespace is not loopback: pushes need to be allowed.
  const allowed = ['--anonymous', 'push', ...flags]
  const mesh = building.use(
    await startMesh({ text }, { ...options, flags: allowed, place: network.place }),
  )
  const parts = building.move()
  return { mesh, network, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** Which topology a node starts with: the file that its operator gives, or the one that it took up while it ran, whichever is newer. */
import { EntrepotError } from '../lib/errors.ts'
import type { NodeName } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import type { RunningTopology } from './topology-check.ts'
import type { TopologyFiles } from './topology-files.ts'

export interface StartTopology {
  readonly running: RunningTopology
  /** Whether the operator's file does not run, for a newer one does. */
  readonly isAdopted: boolean
  /** Why, for the log. */
  readonly why: string
  /** The operator's file must be changed: what is wrong with it. */
  readonly refusal?: string
}

/** @throws TOPOLOGY_REALM when the directory belongs to a node of another mesh */
export function chooseTopology(
  file: RunningTopology,
  files: Pick<TopologyFiles, 'list'>,
): StartTopology {
  const { realm, generation, hash } = file.topology
  const kept = files.list().at(-1)
  if (kept === undefined) {
    return { running: file, isAdopted: false, why: 'this node has taken up no other one' }
  }
  if (kept.realm !== realm) {
    const message = `the topology file is of realm ${JSON.stringify(realm)}, but the data directory is of a node of realm ${JSON.stringify(kept.realm)}; give its own topology, or another --data`
    throw new EntrepotError('TOPOLOGY_REALM', message)
  }
  if (kept.generation < generation) {
    const why = `it is newer than generation ${kept.generation}, which this node ran before`
    return { running: file, isAdopted: false, why }
  }
  const { topology } = readTopology(kept.text)
  if (topology === undefined) {
    const refusal = `generation ${kept.generation}, which this node ran before, is not valid for this release; the file runs instead`
    return { running: file, isAdopted: false, why: 'the newer one cannot be read', refusal }
  }
  const running = { topology, text: kept.text, ...(kept.sealed && { sealed: kept.sealed }) }
  if (kept.generation > generation) {
    const why = `this node took it up while it ran; the file is of generation ${generation}`
    return { running, isAdopted: true, why }
  }
  if (topology.hash === hash) return { running, isAdopted: true, why: 'the file says the same' }
  const refusal = `the file is generation ${generation}, and so is the topology that this node took up while it ran, but they differ; write metadata.generation: ${generation + 1} into the file where it is the one that shall hold`
  return { running, isAdopted: true, why: 'the file differs in the same generation', refusal }
}

/** The topology that has the node: of one that was taken out of the mesh, the operator's file. */
export function topologyWith(
  node: string | undefined,
  { running }: StartTopology,
  file: RunningTopology,
): RunningTopology['topology'] {
  return running.topology.nodes.has(node as NodeName) ? running.topology : file.topology
}

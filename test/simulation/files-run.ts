/** Which file each node ran when; and that nothing came to a node that its file, or that of whoever gave it, does not let through. */
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import { isDigest } from '../../src/oci/name.ts'
import type { RecordKey } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { flow } from '../../src/topology/flow.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { NO_NAMES } from './no-names.ts'

export interface FilesRun {
  /** The node begins to take up another file; what comes back is called when it is done. */
  change(name: NodeName, topology: Topology): () => void
  /** Every file that it ever ran. */
  all(name: NodeName): ReadonlySet<Topology>
  /** Those that it ran since the last look: what it shows anew is wanted by one of them. */
  sinceLook(name: NodeName): ReadonlySet<Topology>
  looked(node: SimNode): void
  /** Whether the one end ever let it through to the other, and that would ever take it. */
  hasPassed(from: NodeName, to: NodeName, key: RecordKey): Promise<boolean>
  /** Its disk is as it was at some time, or lost: it may show what any of its files wanted. */
  forget(name: NodeName): void
  /** @returns what came against a file; undefined when all is right */
  check(node: SimNode, event: MeshEvent): Promise<string | undefined>
}

interface Run {
  readonly topology: Topology
  /** Infinite where it runs it. */
  untilMs: number
}

interface OfNode {
  readonly runs: Run[]
  sinceLook: Set<Topology>
  /** Ids of records that had to wait: their way was checked when they came. */
  readonly parked: Set<string>
}

/** What was given out or taken before a change is stored within this time after it, milliseconds. */
const LATE_MS = 2_000

/** `nowMs` is the true time. */
export function createFilesRun(first: Topology, nowMs: () => number): FilesRun {
  const nodes = new Map<NodeName, OfNode>()

  function of(name: NodeName): OfNode {
    const known = nodes.get(name) ?? {
      runs: [{ topology: first, untilMs: Number.POSITIVE_INFINITY }],
      sinceLook: new Set([first]),
      parked: new Set<string>(),
    }
    nodes.set(name, known)
    return known
  }

  const all = (name: NodeName) => new Set(of(name).runs.map(({ topology }) => topology))
  const lately = (name: NodeName) =>
    of(name)
      .runs.filter(({ untilMs }) => untilMs + LATE_MS >= nowMs())
      .map(({ topology }) => topology)

  return {
    all,
    change: (name, topology) => {
      const { runs, sinceLook } = of(name)
      const former = runs.at(-1)
      runs.push({ topology, untilMs: Number.POSITIVE_INFINITY })
      sinceLook.add(topology)
      return () => {
        if (former !== undefined) former.untilMs = nowMs()
      }
    },
    sinceLook: (name) => of(name).sinceLook,
    looked: ({ name, topology }) => {
      of(name).sinceLook = new Set([topology])
    },
    hasPassed: async (from, to, key) => {
      if (![...all(to)].some((file) => flow(file, from, to).reads(key.repository))) return false
      const given = [...all(from)].map((file) => mayPass(file, [from, to], key))
      return (await Promise.all(given)).some((may) => may)
    },
    forget: (name) => {
      of(name).sinceLook = all(name)
    },
    check: async ({ name }, event) => {
      if (event.kind !== 'record-stored' && event.kind !== 'record-parked') return undefined
      const { arrival, signed } = event
      const { parked } = of(name)
      if (arrival.via === 'push' || parked.has(signed.id)) return undefined
      if (event.kind === 'record-parked') parked.add(signed.id)
      const { from } = arrival
      const { repository, reference } = signed.record
      const where = `${repository}:${reference} came to ${name} from ${from} by ${arrival.via}`
      const mayTake = lately(name).some((file) => flow(file, from, name).reads(repository))
      if (!mayTake) return `${where}, against the file of ${name}`
      const given = lately(from).map((file) => mayPass(file, [from, name], signed.record))
      const mayGive = (await Promise.all(given)).some((may) => may)
      return mayGive ? undefined : `${where}, against the file of ${from}`
    },
  }
}

/** As far as it can be told without knowing what names it: of tags exactly, of others by repository. */
async function mayPass(
  file: Topology,
  [from, to]: readonly [NodeName, NodeName],
  { repository, reference }: RecordKey,
): Promise<boolean> {
  const filter = flow(file, from, to)
  if (isDigest(reference)) return filter.reads(repository)
  return filter.passes({ repository, reference }, NO_NAMES)
}

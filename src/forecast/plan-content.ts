/** What a change of the topology brings to which node and takes from it, and what has to move for it. */
import { writersOf } from '../topology/origins.ts'
import { hasPlatform } from '../topology/platforms.ts'
import type { Schedule } from '../topology/schedule.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type Kind, type Reach, reachOf } from './reach.ts'
import { classOf, type Image, waysOf } from './ways.ts'

export interface Content extends Image {
  /** The image, or the images of an index by platform. None where sizes are not known. */
  readonly parts: readonly Part[]
}

export interface Part {
  /** Undefined: belongs to every platform. */
  readonly platform?: string
  /** Bytes by digest: what several images share moves once. */
  readonly blobs: ReadonlyMap<string, number>
}

/** Images of one repository that a change means the same for. */
export interface ContentChange {
  readonly repository: string
  /** The first one. */
  readonly tag: string
  readonly images: number
  /** In the order of the new file. */
  readonly nodes: readonly {
    readonly node: NodeName
    readonly before: Kind
    readonly after: Kind
  }[]
}

/** What one node has to fetch from another because of the change. */
export interface Move {
  readonly from: NodeName
  readonly to: NodeName
  readonly bytes: number
  /** Where all of it waits for windows: those of the first image. */
  readonly windows?: readonly Schedule[]
}

export function contentChanges(
  old: Topology,
  next: Topology,
  contents: readonly Content[],
): { readonly changes: readonly ContentChange[]; readonly moves: readonly Move[] } {
  const changes = new Map<string, ContentChange>()
  const moves = new Map<string, Moving>()
  const reaches = { old: new Map<string, Reaching>(), next: new Map<string, Reaching>() }
  const names = new Set([...next.nodes.keys(), ...old.nodes.keys()])
  for (const content of contents) {
    const before = bestReach(old, content, reaches.old)
    const after = bestReach(next, content, reaches.next)
    const nodes = [...names].flatMap((node) => {
      const kinds = { before: kindOf(before, node), after: kindOf(after, node) }
      return kinds.before === kinds.after ? [] : [{ node, ...kinds }]
    })
    if (nodes.length > 0) {
      const { repository, tag } = content
      const key = JSON.stringify([repository, nodes])
      const images = (changes.get(key)?.images ?? 0) + 1
      changes.set(key, { repository, tag, nodes, ...changes.get(key), images })
    }
    for (const [node, reach] of after) {
      for (const blobs of missingAt(before.get(node), reach, content)) {
        const from = reach.path.at(-2)
        if (from === undefined) continue
        const key = `${from} ${node}`
        const windows = reach.demand?.windows
        const move = moves.get(key) ?? { from, to: node, blobs: new Map(), windows }
        if (windows === undefined) move.windows = undefined
        for (const [digest, size] of blobs) move.blobs.set(digest, size)
        moves.set(key, move)
      }
    }
  }
  return {
    changes: [...changes.values()],
    moves: [...moves.values()].map(({ from, to, blobs, windows }) => ({
      from,
      to,
      bytes: [...blobs.values()].reduce((sum, size) => sum + size, 0),
      ...(windows === undefined ? {} : { windows }),
    })),
  }
}

interface Moving {
  readonly from: NodeName
  readonly to: NodeName
  readonly blobs: Map<string, number>
  windows: readonly Schedule[] | undefined
}

type Reaching = ReadonlyMap<NodeName, Reach>

/** Blobs that the node holds after the change and did not hold before. */
function missingAt(
  before: Reach | undefined,
  after: Reach,
  { parts }: Content,
): readonly ReadonlyMap<string, number>[] {
  const needs = after.kind === 'present' ? after.demand?.held : undefined
  const has = before?.kind === 'present' ? before.demand?.held : undefined
  if (needs === undefined) return []
  return parts
    .filter(({ platform }) => hasPlatform(needs, platform))
    .filter(({ platform }) => has === undefined || !hasPlatform(has, platform))
    .map(({ blobs }) => blobs)
}

const ORDER: readonly Kind[] = ['absent', 'manual', 'available', 'present']

/** At each node the best that a push at any of the writers brings there. `made`: by class of image. */
function bestReach(topology: Topology, image: Image, made: Map<string, Reaching>): Reaching {
  const key = classOf(topology, image)
  const known = made.get(key)
  if (known !== undefined) return known
  const best = new Map<NodeName, Reach>()
  const ways = waysOf(topology, image)
  for (const from of writersOf(topology, image.repository)) {
    for (const [node, reach] of reachOf(topology, { ...image, from }, ways).nodes) {
      const other = best.get(node)
      if (other === undefined || ORDER.indexOf(other.kind) < ORDER.indexOf(reach.kind)) {
        best.set(node, reach)
      }
    }
  }
  made.set(key, best)
  return best
}

function kindOf(reaches: Reaching, node: NodeName): Kind {
  return reaches.get(node)?.kind ?? 'absent'
}

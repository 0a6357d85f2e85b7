/** In-file tests of paths: over which nodes everything goes that goes from one node to another. */
import type { TestDocument } from '../topology/schema.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { TestLine } from './test-line.ts'

/** Links count in the direction in which they send, whatever their policies let through. */
export function pathLines(
  topology: Topology,
  { path: { from, to }, via }: Extract<TestDocument, { path: unknown }>,
): readonly TestLine[] {
  const way = wayBetween(topology, from as NodeName, to as NodeName)
  if (way === undefined) {
    return [
      { ok: false, text: `expected a path, and no chain of links leads from ${from} to ${to}` },
    ]
  }
  if (via.length === 0) {
    const ok = way.length === 2
    const text = way.join(' -> ')
    return [
      {
        ok,
        text: ok ? text : `expected a link from ${from} to ${to}; the shortest way is ${text}`,
      },
    ]
  }
  return via.map((name) => {
    const past = wayBetween(topology, from as NodeName, to as NodeName, name as NodeName)
    if (past === undefined)
      return { ok: true, text: `every way from ${from} to ${to} leads over ${name}` }
    return { ok: false, text: `expected every way over ${name}; there is ${past.join(' -> ')}` }
  })
}

/** A shortest one that does not touch `without`. */
function wayBetween(
  { groups }: Topology,
  from: NodeName,
  to: NodeName,
  without?: NodeName,
): readonly NodeName[] | undefined {
  const before = new Map<NodeName, NodeName | undefined>()
  if (from !== without) before.set(from, undefined)
  // Grows while it is walked: breadth first.
  for (const node of before.keys()) {
    for (const { senders, receivers } of groups) {
      if (!senders.includes(node)) continue
      for (const next of receivers) {
        if (next !== without && !before.has(next)) before.set(next, node)
      }
    }
  }
  if (!before.has(to)) return undefined
  const way: NodeName[] = []
  for (let at: NodeName | undefined = to; at !== undefined; at = before.get(at)) way.unshift(at)
  return way
}

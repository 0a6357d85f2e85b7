/** In-file tests of pulls: what a client gets at a node while others are down. */
import { writersOf } from '../topology/origins.ts'
import type { TestDocument } from '../topology/schema.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { imageOf } from './image-text.ts'
import { pullOf } from './pulls.ts'
import { reachOf } from './reach.ts'
import { pathText, whyText } from './reach-text.ts'
import type { TestLine } from './test-line.ts'
import { waysOf } from './ways.ts'

/** It must hold at whichever writer the image was pushed. */
export function pullLines(
  topology: Topology,
  { pull, down = [], expect }: Extract<TestDocument, { pull: unknown }>,
): readonly TestLine[] {
  const image = imageOf(pull.image)
  const node = pull.node as NodeName
  if (image === undefined) {
    return [{ ok: false, text: `expected REPOSITORY:TAG under pull.image; got ${pull.image}` }]
  }
  const ways = waysOf(topology, image)
  const gone = down as NodeName[]
  const writers = writersOf(topology, image.repository)
  if (writers.length === 0) {
    const text = `no entry of origins matches ${image.repository}`
    return [{ ok: expect === 'absent', text: `${node}: absent: ${text}` }]
  }
  return writers.map((writer) => {
    const { kind, path } = pullOf(topology, { ...image, node, writer, down: gone }, ways)
    const question = { ...image, from: writer }
    const asked = { topology, question, reaches: reachOf(topology, question, ways) }
    const why = {
      local: () => `held since ${writer} pushed it, ${whyText(asked, node)}`,
      fetched: () => `fetched by ${pathText(asked, path)}`,
      absent: () => (gone.includes(node) ? 'it is down' : absentText()),
    }[kind]()
    const ok = kind === expect
    return { ok, text: ok ? `${node}: ${why}` : `${node}: expected ${expect}, is ${kind}: ${why}` }

    function absentText(): string {
      const reach = asked.reaches.nodes.get(node)
      if (reach?.kind !== 'available') return whyText(asked, node)
      return `nobody is left who has it, of ${reach.path.slice(0, -1).join(' -> ')}`
    }
  })
}

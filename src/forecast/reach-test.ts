/** In-file tests of reach: `present`, `available`, `notPresent`, `absent`, `within`, `maxHops` of an image that is pushed. */
import { boundText } from '../lib/duration.ts'
import type { TestDocument } from '../topology/schema.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { imageOf } from './image-text.ts'
import { type Kind, type Reach, type Reaches, reachOf } from './reach.ts'
import { type Asked, latestText, pathText, whyText } from './reach-text.ts'
import type { TestLine } from './test-line.ts'

type ReachTest = Extract<TestDocument, { from: unknown }>

/** What an image may be at a node that a list names. What is on disk is served on request too. */
const MEANINGS = {
  present: ['present'],
  available: ['present', 'available'],
  notPresent: ['available', 'manual', 'absent'],
  absent: ['manual', 'absent'],
} as const satisfies Readonly<Record<string, readonly Kind[]>>
const WORDS = {
  present: 'present',
  available: 'available',
  notPresent: 'not present',
  absent: 'absent',
} as const
const LISTS = ['present', 'available', 'notPresent', 'absent'] as const
/** Of kinds, as a reason says them. */
const SAID: Readonly<Record<Kind, string>> = {
  present: 'present',
  available: 'only available',
  manual: "only there at a person's word",
  absent: 'absent',
}

export function reachLines(topology: Topology, test: ReachTest): readonly TestLine[] {
  const { from, image, platform, down, within, maxHops } = test
  const named = imageOf(image)
  const fail = (text: string): readonly TestLine[] => [{ ok: false, text }]
  if (named === undefined) return fail(`expected REPOSITORY:TAG under image; got ${image}`)
  const isDown = down?.includes(from) === true
  if (isDown) {
    return fail(`${from} is down, so nothing is pushed there: name another node, or test a pull`)
  }
  const question = {
    ...named,
    from: from as NodeName,
    ...(platform === undefined ? {} : { platform }),
    down: (down ?? []) as NodeName[],
  }
  const reaches = reachOf(topology, question)
  const asked: Asked = { topology, question, reaches }
  const lines = LISTS.flatMap((list) =>
    (test[list] ?? []).map((name) => lineOf(asked, name as NodeName, list, within)),
  )
  if (maxHops !== undefined) lines.push(hopsLine(asked, maxHops))
  // A node may stand in two lists, as what is served and is not on disk.
  const once = new Map(lines.map((line) => [line.text, line]))
  if (once.size > 0) return [...once.values()]
  return fail(
    'it says nothing of any node: expected present, available, notPresent, absent or maxHops',
  )
}

function lineOf(
  asked: Asked,
  node: NodeName,
  list: (typeof LISTS)[number],
  within: number | undefined,
): TestLine {
  const reach = asked.reaches.nodes.get(node)
  const why = whyText(asked, node)
  if (reach === undefined) return { ok: false, text: why }
  const meant: readonly Kind[] = MEANINGS[list]
  if (!meant.includes(reach.kind)) {
    const join = reach.kind === 'present' ? '' : ':'
    return {
      ok: false,
      text: `${node}: expected ${WORDS[list]}, is ${SAID[reach.kind]}${join} ${why}`,
    }
  }
  const isTimed = within !== undefined && (list === 'present' || list === 'available')
  if (isTimed && (reach.latestMs ?? Number.POSITIVE_INFINITY) > within) {
    const by = pathText(asked, reach.path)
    const text = `${node}: expected within ${boundText(within)}, ${latestText(asked, reach)}, by ${by}`
    return { ok: false, text }
  }
  return { ok: true, text: `${node}: ${reach.kind}${reach.kind === 'present' ? '' : ':'} ${why}` }
}

/** Of all nodes that it comes to, in whatever way. */
function hopsLine(asked: Asked, maxHops: number): TestLine {
  const reached = reachedOf(asked.reaches)
  const longest = reached.reduce<readonly NodeName[]>(
    (most, { path }) => (path.length > most.length ? path : most),
    [],
  )
  const last = longest.at(-1)
  if (last === undefined) {
    return { ok: false, text: `expected at most ${maxHops} links, and it reaches no node at all` }
  }
  const count = longest.length - 1
  const links = `${count} ${count === 1 ? 'link' : 'links'} to ${last}, by ${pathText(asked, longest)}`
  return count <= maxHops
    ? { ok: true, text: `at most ${links}` }
    : { ok: false, text: `expected at most ${maxHops} links, is ${links}` }
}

function reachedOf({ nodes, writer }: Reaches): readonly Reach[] {
  return [...nodes].flatMap(([node, reach]) =>
    node === writer || reach.kind === 'absent' ? [] : [reach],
  )
}

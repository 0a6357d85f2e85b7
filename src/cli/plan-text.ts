/** A plan as people read it: first what changes, then what it costs and rests on, then the file's own tests. */
import type { TopologyPlan } from '../forecast/plan.ts'
import type { ContentChange } from '../forecast/plan-content.ts'
import type { Edge } from '../forecast/plan-edges.ts'
import { bytesText, rateText } from '../lib/bytes-text.ts'
import { boundText } from '../lib/duration.ts'
import { table } from './output.ts'
import { countText, testText } from './topology-check.ts'

/** Names in a line, at most. */
const MAX_NAMES = 8
/** Rows of one section. */
const MAX_ROWS = 40

export interface PlanFacts {
  readonly imageBytes: number
  /** Whether images and sizes are those of a running node. */
  readonly isMeasured: boolean
}

export function planText(plan: TopologyPlan, facts: PlanFacts): string {
  const sections = [
    plan.problems.map((problem) => `NOT ACCEPTED: ${problem}`),
    nodeLines(plan),
    edgeLines(plan),
    contentLines(plan, facts),
    moveLines(plan, facts),
    riskLines(plan),
    [speedLine(plan, facts)],
    testLines(plan),
  ]
  const texts = sections.filter(({ length }) => length > 0).map((lines) => lines.join('\n'))
  return texts.join('\n\n')
}

function nodeLines({ nodes: { gained, lost } }: TopologyPlan): readonly string[] {
  return [
    ...(gained.length === 0 ? [] : [`Nodes gained: ${some(gained)}`]),
    ...(lost.length === 0 ? [] : [`Nodes lost: ${some(lost)}`]),
  ]
}

function edgeLines({ edges }: TopologyPlan): readonly string[] {
  const { before, after, gained, lost, changed } = edges
  const rows = (sign: string, list: readonly Edge[]) =>
    list.map(({ from, to, policies }) => [`  ${sign} ${from} -> ${to}`, policies.join(', ')])
  const all = [...rows('+', gained), ...rows('-', lost), ...rows('~', changed)]
  if (all.length === 0) return [`Edges: ${after}, as before`]
  return [
    `Edges: ${before} before, ${after} after; ${gained.length} gained, ${lost.length} lost, ${changed.length} changed`,
    ...capped(all),
  ]
}

function contentLines({ changes }: TopologyPlan, { isMeasured }: PlanFacts): readonly string[] {
  const source = isMeasured
    ? 'images of the running node'
    : 'images that the policies suggest; real ones with --url'
  if (changes.length === 0) return [`Content: no node gains or loses any (${source})`]
  return [`Content (${source}):`, ...capped(changes.flatMap(changeRows))]
}

function changeRows({ repository, tag, images, nodes }: ContentChange): readonly string[][] {
  const what = images === 1 ? `${repository}:${tag}` : `${repository}, ${images} tags as ${tag}`
  const byKinds = new Map<string, string[]>()
  for (const { node, before, after } of nodes) {
    const kinds = `${before} -> ${after}`
    byKinds.set(kinds, [...(byKinds.get(kinds) ?? []), node])
  }
  return [...byKinds].map(([kinds, names]) => [`  ${what}`, kinds, some(names)])
}

function moveLines({ moves, changes }: TopologyPlan, { isMeasured }: PlanFacts): readonly string[] {
  if (!isMeasured)
    return changes.length === 0 ? [] : ['To move: not known; ask a running node with --url']
  if (moves.length === 0) return ['To move: nothing']
  const total = moves.reduce((sum, { bytes }) => sum + bytes, 0)
  const rows = moves.map(({ from, to, bytes, ms }) => [
    `  ${from} -> ${to}`,
    bytesText(bytes),
    ms === undefined ? 'no rate given' : boundText(ms),
  ])
  return [`To move: ${bytesText(total)}, from now at the rates of the file:`, ...capped(rows)]
}

function riskLines({
  risks: { singlePoints, soleSources, soleWriters },
}: TopologyPlan): readonly string[] {
  return [
    ...singlePoints.map(({ node, isolates }) => `Loss of ${node} isolates ${some(isolates)}`),
    ...soleSources.map(({ source, nodes }) => `No second source than ${source}: ${some(nodes)}`),
    ...(soleWriters.length === 0
      ? []
      : [`Only writer of some repositories: ${some(soleWriters)}; without it nothing new comes`]),
  ].slice(0, MAX_ROWS)
}

function speedLine({ slowest }: TopologyPlan, { imageBytes }: PlanFacts): string {
  const image = bytesText(imageBytes)
  if (slowest === undefined) {
    return `Least time of an image of ${image} to the last node: not known, no link on its way has a rate`
  }
  const { repository, tag, writer, link, leastMs, worstMs } = slowest
  const worst =
    link.worst === link.best
      ? ''
      : link.worst === 0
        ? '; at some hours nothing flows'
        : `; at the slowest hour ${rateText(link.worst)}, ${boundText(worstMs)}`
  return [
    `Bottleneck: ${link.from} -> ${link.to}, ${rateText(link.best)}`,
    `Least time of an image of ${image} to the last node: ${boundText(leastMs)}${worst} (${repository}:${tag} from ${writer})`,
  ].join('\n')
}

function testLines({ tests }: TopologyPlan): readonly string[] {
  const failed = tests.filter(({ ok }) => !ok)
  return [...failed.map(testText), `In the new file: ${countText(tests)}`]
}

function capped(rows: readonly (readonly string[])[]): readonly string[] {
  const shown = rows.slice(0, MAX_ROWS)
  const more = rows.length - shown.length
  return [table(shown), ...(more === 0 ? [] : [`  and ${more} more`])]
}

function some(names: readonly string[]): string {
  const more = names.length - MAX_NAMES
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Where one image goes: to which node, by which path, when, and at the latest when. */
import type { Kind, Reach } from '../forecast/reach.ts'
import { type Asked, pathText, whyText } from '../forecast/reach-text.ts'
import { boundText } from '../lib/duration.ts'
import type { NodeName } from '../topology/topology.ts'
import { table } from './output.ts'

export interface ImagePlanRow {
  readonly node: NodeName
  readonly kind: Kind
  readonly path: readonly NodeName[]
  /** When it begins to come, in words. */
  readonly when: string
  /** Milliseconds after the push, at worst; undefined: not known. */
  readonly latestMs?: number
  readonly reason: string
}

/** `nowMs`: of the next windows, milliseconds since the Unix epoch. */
export function imagePlanRows(asked: Asked, nowMs: number): readonly ImagePlanRow[] {
  return [...asked.reaches.nodes].map(([node, reach]) => {
    const { kind, path, latestMs } = reach
    const reason = kind === 'absent' ? whyText(asked, node) : pathText(asked, path)
    const when = whenText(asked, node, reach, nowMs)
    return { node, kind, path, when, ...(latestMs === undefined ? {} : { latestMs }), reason }
  })
}

export function imagePlanText(
  { question: { repository, tag, from, platform }, reaches: { writer } }: Asked,
  rows: readonly ImagePlanRow[],
): string {
  const where = writer === undefined || writer === from ? `at ${from}` : `at ${from}, for ${writer}`
  const what = platform === undefined ? '' : ` for ${platform}`
  const cells = rows.map(({ node, kind, when, latestMs, reason }) => [
    `  ${node}`,
    kind,
    when,
    latestMs === undefined ? '-' : boundText(latestMs),
    reason,
  ])
  return [
    `${repository}:${tag}${what}, pushed ${where}`,
    table([['  NODE', 'IS', 'WHEN', 'LATEST', 'BY'], ...cells]),
  ].join('\n')
}

function whenText(
  { topology, reaches: { writer } }: Asked,
  node: NodeName,
  { kind, demand }: Reach,
  nowMs: number,
): string {
  if (kind === 'absent') return 'never'
  if (kind === 'manual') return "at a person's word"
  if (kind === 'available') return 'on request'
  if (node === writer) return 'pushed here'
  const timeZone = topology.nodes.get(node)?.timeZone ?? 'UTC'
  const states = (demand?.windows ?? []).map((window) => window.at(nowMs, timeZone))
  if (states.length === 0) return 'at once'
  const open = states.flatMap((state) => (state.isOpen ? [state.untilMs] : []))
  if (open.length > 0) return `window open until ${timeText(Math.max(...open))}`
  return `window opens ${timeText(Math.min(...states.map((state) => (state.isOpen ? nowMs : state.opensMs))))}`
}

function timeText(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'never' : `${new Date(ms).toISOString().slice(0, 16)}Z`
}

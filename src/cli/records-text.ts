/** The history of a reference as text: who won, who lost, and who is behind. */
import type { RecordsView } from '../admin/views.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { table } from './output.ts'

export function recordsText(view: RecordsView): string {
  const { visible, deletedAtOrigin, goesAtMs, known, neighbours = [] } = view
  const goes = goesAtMs === undefined ? '' : `, goes at ${new Date(goesAtMs).toISOString()}`
  const head = table([
    ['key', `${view.repository} ${view.reference}`],
    ['visible', visible ?? (deletedAtOrigin ? `nothing: deleted at origin${goes}` : 'nothing')],
    ['held', view.held ?? 'nothing'],
    ['plan', view.plan],
  ])
  const rows = known.map((record) => [
    `  ${record.role}`,
    `by ${record.writer}`,
    record.time,
    record.digest ?? '',
    record.size === undefined ? '' : bytesText(record.size),
    whereText(record),
    seenText(record.seen),
  ])
  const parts = [head, 'records', table(rows)]
  if (neighbours.length > 0) parts.push('neighbours', table(neighbours.map(neighbourRow)))
  return parts.join('\n')
}

/** Under which tag a loser is served, or that it is not here. */
function whereText({ role, tag, isServed }: RecordsView['known'][number]): string {
  if (role !== 'loser') return ''
  if (tag === undefined) return 'by digest only'
  return isServed === true ? `as ${tag}` : `as ${tag} (not here yet)`
}

function seenText(seen: Readonly<Record<string, string>>): string {
  const known = Object.entries(seen).map(([writer, time]) => `${writer} ${time}`)
  return known.length === 0 ? 'had seen nothing' : `had seen ${known.join(', ')}`
}

function neighbourRow({
  node,
  state,
  holds,
  isBehind,
}: NonNullable<RecordsView['neighbours']>[number]): string[] {
  const behind =
    isBehind === undefined ? 'sends nothing here' : isBehind ? 'behind' : 'has what is visible'
  return [`  ${node}`, state, behind, holds.map((digest) => digest.slice(0, 19)).join(' ')]
}

/** The rule of what a key shows, counted a second time and in another way, from all records that a node knows. */
import { visibleOf } from '../../src/record/history.ts'
import { keyText, type SignedRecord } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import type { Entry } from '../../src/storage/ledger.ts'
import { knows } from './memory.ts'
import type { World } from './world.ts'

/**
 * Of the puts that no other record replaces, and that the author of no such record had seen, the latest is visible.
 * @throws when the node sees another one
 */
export function checkVisible(
  { memory }: World,
  { name }: SimNode,
  entries: readonly Entry[],
): void {
  for (const { key, history } of entries) {
    const all = [...(memory.records.get(keyText(key))?.values() ?? [])]
    const known = all.filter((signed) => knows(history, signed))
    const kept = known.filter((one) => !known.some((other) => replaces(other, one)))
    const standing = kept.filter(
      (one) => one.record.kind === 'put' && !kept.some((other) => hasSeen(other, one)),
    )
    const [winner] = standing.sort(
      (a, b) => b.record.time - a.record.time || (a.writer < b.writer ? 1 : -1),
    )
    if (winner?.id === visibleOf(history)?.id) continue
    throw new Error(`${name} sees another winner of ${key.repository}:${key.reference}`)
  }
}

/** Knows all that the author of the other one knew, and the other one itself; its own writer's earlier records count as known. */
function replaces(other: SignedRecord, one: SignedRecord): boolean {
  if (other.id === one.id) return false
  const reach = (writer: string) =>
    Math.max(
      ...[...other.record.seen].map(([name, time]) => (name === writer ? time : 0)),
      other.writer === writer ? other.record.time : 0,
    )
  const needed = [...one.record.seen, [one.writer, one.record.time] as const]
  return needed.every(([writer, time]) => reach(writer) >= time)
}

function hasSeen(other: SignedRecord, one: SignedRecord): boolean {
  return other.id !== one.id && (other.record.seen.get(one.writer) ?? 0) >= one.record.time
}

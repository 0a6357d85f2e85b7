/** What must hold of deletes at nodes that are no writers: none too early, none too many, and in the end none left out. */
import { isDigest } from '../../src/oci/name.ts'
import { visibleOf } from '../../src/record/history.ts'
import { keyText, parseKeyText, type RecordKey } from '../../src/record/tag-record.ts'
import { msOfTime } from '../../src/record/time.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import type { Entry } from '../../src/storage/ledger.ts'
import { policiesTo } from '../../src/topology/flow.ts'
import { writersOf } from '../../src/topology/origins.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { knows } from './memory.ts'
import type { World } from './world.ts'

interface Rule {
  readonly graceMs: number
  readonly keepLast: number
  readonly guard: number | undefined
}

/** By what the file says of a tag; undefined: the node shows it whatever its writers delete. */
function ruleOf(topology: Topology, node: NodeName, key: RecordKey): Rule | undefined {
  const { repository, reference } = key
  if (isDigest(reference) || writersOf(topology, repository).includes(node)) return undefined
  const rules = policiesTo(topology, node)
    .filter((policy) => policy.matchesRepository(repository) && policy.matchesTag(reference))
    .map(({ deletes }) => deletes)
    .filter(({ propagate }) => propagate)
  if (rules.length === 0) return undefined
  return {
    graceMs: Math.min(...rules.map(({ graceMs }) => graceMs)),
    keepLast: Math.max(...rules.map(({ keepLast }) => keepLast)),
    guard: guardOf(rules),
  }
}

function guardOf(rules: readonly { readonly guard?: number | undefined }[]): number | undefined {
  const guards = rules.flatMap(({ guard }) => guard ?? [])
  return guards.length === 0 ? undefined : Math.min(...guards)
}

/** A tag that the node showed is gone. `shown` is what it shows now, by key. @throws when it must be there */
export function checkTaken(
  { files, memory, clock, plot, guards }: World,
  node: SimNode,
  text: string,
  shown: ReadonlyMap<string, unknown>,
): void {
  const { name } = node
  const key = parseKeyText(text)
  const where = `${key.repository}:${key.reference} at ${name}`
  // Of the files that it ran since the last look any may have been the reason.
  const rules = [...files.sinceLook(name)].flatMap((file) => ruleOf(file, name, key) ?? [])
  if (rules.length === 0) throw new Error(`${where}: taken away at a node that is no writer`)
  const graceMs = Math.min(...rules.map((rule) => rule.graceMs))
  const keepLast = Math.min(...rules.map((rule) => rule.keepLast))
  const isOver = [...(memory.records.get(text)?.values() ?? [])].some(
    ({ record }) => record.kind === 'delete' && msOfTime(record.time) + graceMs <= clock.now(),
  )
  // A node goes by its sources' clocks and its own, as far as they are right.
  if (!isOver && !plot.movesClocks) throw new Error(`${where}: taken away before its grace is over`)
  const left = [...shown.keys()].filter((one) => parseKeyText(one).repository === key.repository)
  if (left.length < keepLast)
    throw new Error(`${where}: taken away, though no more than ${keepLast} stay`)
  const guard = guardOf(rules)
  if (guard !== undefined && !guards.isConfirmed(node, key)) guards.checkTaken(node, key, guard)
}

/** At rest, every grace is over. @throws when something is shown that had to go */
export function checkDeleted(
  { topology, memory, guards }: World,
  node: SimNode,
  entries: readonly Entry[],
): void {
  const { name } = node
  for (const repository of new Set(entries.map(({ key }) => key.repository))) {
    const shown = entries.filter(
      ({ key, held, history }) =>
        key.repository === repository &&
        !isDigest(key.reference) &&
        held !== undefined &&
        history.length > 0,
    )
    const pushedAt = ({ key, history }: Entry) =>
      Math.max(
        ...[...(memory.records.get(keyText(key))?.values() ?? [])]
          .filter((signed) => signed.record.kind === 'put' && knows(history, signed))
          .map(({ record }) => record.time),
      )
    const deleted = shown.filter(({ history }) => visibleOf(history) === undefined)
    for (const entry of deleted) {
      const rule = ruleOf(topology, name, entry.key)
      if (rule === undefined) continue
      if (rule.guard !== undefined && guards.mayWait(node, entry.key)) continue
      const newer = shown.filter((other) => pushedAt(other) > pushedAt(entry)).length
      const where = `${repository}:${entry.key.reference} at ${name}`
      // Of concurrent pushes its deletes may not have seen the newest.
      const isOrdered = writersOf(topology, repository).length === 1
      if (isOrdered && newer >= rule.keepLast)
        throw new Error(`${where}: deleted, and ${newer} newer tags are shown`)
      if (deleted.length > rule.keepLast)
        throw new Error(`${where}: deleted, and is one of ${deleted.length} that are shown`)
    }
  }
}

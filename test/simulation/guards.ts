/** Guards of deletes: what a person let through, and what went at a node without a word. By these the node is judged. */
import type { RepositoryName } from '../../src/oci/name.ts'
import { visibleOf } from '../../src/record/history.ts'
import { keyText, parseKeyText, type RecordKey } from '../../src/record/tag-record.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import type { Topology } from '../../src/topology/topology.ts'
import type { Memory } from './memory.ts'

export interface Guards {
  /** A person lets go what the node knows to be deleted. The node may die on the way: then it may have heard it, or not. */
  confirm(node: SimNode, repository: RepositoryName): Promise<void>
  /** Whether a person let one of the key's deletes through there. */
  isConfirmed(node: SimNode, key: RecordKey): boolean
  /** A tag is gone there. @throws when too many went without a word */
  checkTaken(node: SimNode, key: RecordKey, guard: number): void
  /** Whether a delete may still wait there: no person let the newest one through, and it is not the repository's only one. */
  mayWait(node: SimNode, key: RecordKey): boolean
}

export function isGuarded({ policies }: Pick<Topology, 'policies'>): boolean {
  return [...policies.values()].some(({ deletes }) => deletes.guard !== undefined)
}

/** No world lasts a day, so that all that went counts. */
export function createGuards(memory: Memory): Guards {
  /** By node and id of the delete. */
  const confirmed = new Set<string>()
  /** By node and repository: tags that went without a word. */
  const taken = new Map<string, Set<string>>()

  const known = ({ records }: Memory, repository: RepositoryName) =>
    [...records].filter(([text]) => parseKeyText(text).repository === repository)

  function note(node: SimNode, repository: RepositoryName): void {
    for (const [text, history] of memory.of(node).histories) {
      const [newest] = history
      if (parseKeyText(text).repository !== repository || newest === undefined) continue
      if (visibleOf(history) === undefined) confirmed.add(`${node.name} ${newest.id}`)
    }
  }

  return {
    confirm: async (node, repository) => {
      const { core, process } = node
      if (core === undefined || process === undefined) return
      note(node, repository)
      try {
        await Promise.race([core.deletes.confirm(repository), process.life.over])
      } finally {
        // What came before it looked is let through too.
        note(node, repository)
      }
    },
    isConfirmed: (node, key) =>
      [...(memory.records.get(keyText(key))?.keys() ?? [])].some((id) =>
        confirmed.has(`${node.name} ${id}`),
      ),
    checkTaken: (node, { repository, reference }, guard) => {
      const place = `${node.name} ${repository}`
      const gone = taken.get(place) ?? new Set()
      taken.set(place, gone.add(reference))
      // There never were more tags than names.
      const most = Math.max(1, guard * (known(memory, repository).length + gone.size))
      if (gone.size > most)
        throw new Error(
          `${repository} at ${node.name}: ${gone.size} tags went without a word, and ${most} may`,
        )
    },
    mayWait: (node, key) => {
      const [newest] = memory.of(node).histories.get(keyText(key)) ?? []
      if (newest === undefined || confirmed.has(`${node.name} ${newest.id}`)) return false
      const deletes = known(memory, key.repository).flatMap(([, ofKey]) =>
        [...ofKey.values()].filter(({ record }) => record.kind === 'delete'),
      )
      return deletes.length > 1
    },
  }
}

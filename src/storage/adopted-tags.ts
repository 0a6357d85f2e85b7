/**
 * Adopted tags that the mesh knows otherwise: the mesh has the say, and what was found on disk stays under another name,
 * `<tag>--adopted-<node>`, until a person deletes it.
 */
import { isDigest, type RepositoryName, type Tag, withSuffix } from '../oci/name.ts'
import type { ContentRows } from './content-rows.ts'
import type { Transaction } from './index-db.ts'
import { ENTRY, type Held, META, pairKey } from './index-tables.ts'
import type { Ledger } from './ledger.ts'

/** Of the row in the table `meta` that says whether adopted content waits to be signed. */
export const ADOPTED = 'adopted'
export const [UNSIGNED, SIGNED] = [0, 1]

export interface AdoptedTags {
  /** Inside a transaction, before the tag shows something else: keeps what it showed, if that was adopted. */
  keep(
    tx: Transaction,
    repository: RepositoryName,
    reference: string,
    held: Pick<Held, 'digest' | 'coverage' | 'isAdopted'> | undefined,
  ): void
}

export interface AdoptedTagsDeps {
  readonly ledger: Pick<Ledger, 'hold'>
  readonly rows: Pick<ContentRows, 'putTag'>
  /** Name of this node. */
  readonly node: string
  /** Told when it is durable. */
  readonly onKept: (repository: RepositoryName, from: Tag, to: Tag) => void
}

export function createAdoptedTags({ ledger, rows, node, onKept }: AdoptedTagsDeps): AdoptedTags {
  return {
    keep: (tx, repository, reference, held) => {
      if (held?.isAdopted !== true || isDigest(reference as Tag)) return
      const { digest, coverage } = held
      for (let attempt = 1; ; attempt += 1) {
        const name = adoptedName(reference as Tag, node, attempt)
        const row = tx.get(ENTRY, pairKey(repository, name))
        if (row?.held?.digest === digest) return
        if (row !== undefined) continue
        ledger.hold(tx, { repository, reference: name }, { digest, coverage, isAdopted: true })
        rows.putTag(tx, repository, name, digest)
        noteUnsigned(tx)
        tx.afterCommit(() => onKept(repository, reference as Tag, name))
        return
      }
    },
  }
}

/** Inside a transaction: there is something to sign. Counted, so that who signs sees what came behind it. */
export function noteUnsigned(tx: Transaction): void {
  tx.put(META, ADOPTED, { version: UNSIGNED, last: (tx.get(META, ADOPTED)?.last ?? 0) + 1 })
}

/** `attempt`: greater than 1 where the name is taken. */
export function adoptedName(tag: Tag, node: string, attempt = 1): Tag {
  return withSuffix(tag, `--adopted-${node}${attempt === 1 ? '' : `-${attempt}`}`)
}

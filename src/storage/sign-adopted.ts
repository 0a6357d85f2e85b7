/**
 * Signs adopted content at a writer: what no record says anything of becomes this node's own put, so that the mesh has it
 * too. What is signed has a record and is passed over, so it can be cut off and begun again.
 */
import type { RepositoryName } from '../oci/name.ts'
import type { Author } from '../record/author.ts'
import { parseKeyText } from '../record/tag-record.ts'
import { ADOPTED, SIGNED, UNSIGNED } from './adopted-tags.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { ENTRY, type EntryRow, MANIFEST, META, pairKey } from './index-tables.ts'
import { type PublishDeps, publish } from './publish.ts'

export interface SignAdoptedDeps extends PublishDeps {
  readonly index: IndexDb
  readonly author: Author
  readonly isWriter: (repository: RepositoryName) => boolean
}

export interface SignedAdopted {
  readonly tags: number
  readonly digests: number
  /** Entries that stay as they are: this node is no writer of their repository, or they lack a part. */
  readonly left: number
}

/** Entries signed in one transaction: 64 signatures take some 5 ms. */
const PAGE = 64

/** Whether there is, or may be, adopted content without a record. */
export function isUnsigned(index: IndexDb): boolean {
  return index.get(META, ADOPTED)?.version === UNSIGNED
}

/** In the order of names: the times of the records are those of the signing, whatever the files say. */
export async function signAdopted(
  deps: SignAdoptedDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<SignedAdopted> {
  const { index } = deps
  const total = { tags: 0, digests: 0 }
  for (;;) {
    const noted = index.get(META, ADOPTED)?.last
    const { tags, digests, left } = await signOnce(deps, signal)
    total.tags += tags
    total.digests += digests
    const isOver = await index.transact((tx) => {
      // A tag that was kept under another name meanwhile may stand before the place where this looked.
      if (tx.get(META, ADOPTED)?.last !== noted) return false
      // Where some are left, a later start looks again: the topology may have made this node their writer.
      if (left === 0) tx.put(META, ADOPTED, { version: SIGNED, ...(noted && { last: noted }) })
      return true
    })
    if (isOver) return { ...total, left }
  }
}

async function signOnce(deps: SignAdoptedDeps, signal: AbortSignal): Promise<SignedAdopted> {
  const { index } = deps
  const count = { tags: 0, digests: 0, left: 0 }
  for await (const page of pagesOf(index, ENTRY, { limit: PAGE })) {
    signal.throwIfAborted()
    const adopted = page.filter(([, row]) => isAdopted(row))
    if (adopted.length === 0) continue
    const kinds = await index.transact((tx) =>
      adopted.flatMap(([text]) => sign(deps, tx, text) ?? []),
    )
    for (const kind of kinds) count[kind] += 1
  }
  return count
}

function sign(deps: SignAdoptedDeps, tx: Transaction, text: string) {
  const key = parseKeyText(text)
  const row = tx.get(ENTRY, text)
  if (row === undefined || !isAdopted(row)) return undefined
  const { digest, coverage } = row.held
  const manifest = tx.get(MANIFEST, pairKey(key.repository, digest))
  const isWhole = coverage === 'all' && manifest !== undefined
  if (!isWhole || !deps.isWriter(key.repository)) return 'left'
  const { mediaType, size, subject } = manifest
  const about = subject === undefined ? {} : { subject }
  const signed = deps.author.sign({ kind: 'put', ...key, digest, mediaType, size, ...about }, [])
  publish(deps, tx, signed, { digest, coverage })
  return key.reference === digest ? 'digests' : 'tags'
}

function isAdopted(row: EntryRow): row is EntryRow & Required<Pick<EntryRow, 'held'>> {
  return row.records.length === 0 && row.held !== undefined
}

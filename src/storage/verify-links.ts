/** Every link file against the index: what has no row is taken in where whole content is behind it, else removed. */
import { algorithmOf, type Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { adoptRepository } from './adopt-repository.ts'
import type { Check } from './check.ts'
import { finding } from './finding.ts'
import type { Table } from './index-db.ts'
import { BLOB, ENTRY, MANIFEST, pairKey, TAG } from './index-tables.ts'
import type { FoundLink } from './layout-scan.ts'
import type { LinkFiles } from './link-journal.ts'

interface Unclaimed {
  readonly table: Table<unknown>
  readonly key: string
  readonly path: string
  /** What a removal takes: the directory of the link, or of the tag. */
  readonly removed: string
}

/** Links that are put right in one round: they are in memory meanwhile. */
const ROUND = 10_000

export async function verifyLinks(check: Check): Promise<void> {
  for await (const { name } of check.scan.repositories()) {
    // A directory with another name is nobody's repository, here and for others.
    if (name === undefined) continue
    if (check.mustRepair) await repair(check, name)
    else for await (const one of unclaimedIn(check, name)) check.tell(toFinding(one))
  }
}

async function repair(check: Check, repository: RepositoryName): Promise<void> {
  for (;;) {
    const round: Unclaimed[] = []
    for await (const one of unclaimedIn(check, repository)) {
      if (round.push(one) === ROUND) break
    }
    if (round.length === 0) return
    const counts = () => ({ manifests: 0, blobs: 0, tags: 0 })
    // What is wrong with the rest of the repository was told of before.
    const deps = { ...check, found: counts(), added: counts(), tell: () => {} }
    await adoptRepository(deps, repository)
    for (const one of round) {
      const isTaken = check.index.get(one.table, one.key) !== undefined
      if (!isTaken) await remove(check.files, one.removed)
      const why =
        check.index.get(ENTRY, one.key) === undefined
          ? 'nothing whole is behind it'
          : 'the index knows that it is gone'
      check.tell(toFinding(one), {
        repair: isTaken ? 'taken into the index' : `removed: ${why}`,
        isWhole: true,
      })
    }
  }
}

function toFinding({ path }: Unclaimed) {
  return finding('link-unclaimed', path, { expected: 'a row of the index', came: 'a link alone' })
}

async function* unclaimedIn(
  { scan, index, signal }: Check,
  repository: RepositoryName,
): AsyncGenerator<Unclaimed> {
  const without = function* <N extends string>(
    table: Table<unknown>,
    links: readonly FoundLink<N>[],
  ) {
    signal.throwIfAborted()
    for (const { name, path, target } of links) {
      if (name === undefined) continue
      const key = pairKey(repository, name)
      if (index.get(table, key) !== undefined) continue
      if (table === BLOB && isAlias(name as unknown as Digest, target)) continue
      const directory = path.slice(0, path.lastIndexOf('/'))
      const removed = table === TAG ? directory.slice(0, directory.lastIndexOf('/')) : directory
      yield { table, key, path, removed }
    }
  }
  for await (const links of scan.layers(repository)) yield* without(BLOB, links)
  for await (const links of scan.revisions(repository)) yield* without(MANIFEST, links)
  for await (const links of scan.tags(repository)) yield* without(TAG, links)
}

/** distribution links the sha512 of a blob to the sha256 under which it is stored. */
function isAlias(name: Digest, target: Digest | undefined): boolean {
  return target !== undefined && algorithmOf(target) !== algorithmOf(name)
}

async function remove(files: LinkFiles, path: string): Promise<void> {
  const change = { kind: 'remove', path } as const
  await files.apply([change])
  await files.makeDurable([change])
}

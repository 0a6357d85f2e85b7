/** Why something that was deleted at its origin is still served by a node that is to delete it too. */
import type { Verdict } from '../admin/why-view.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { OriginDelete, OriginDeletes, RepositoryDeletes } from '../worker/origin-deletes.ts'

/** The delete of a key, among those of its repository. */
export interface FoundDeletion extends OriginDelete, Pick<RepositoryDeletes, 'tags' | 'heldUp'> {}

export async function findDeletion(
  deletes: Pick<OriginDeletes, 'of'>,
  { repository, reference }: RecordKey,
): Promise<FoundDeletion | undefined> {
  const found = await deletes.of(repository)
  const one = found.deletes.find((other) => other.reference === reference)
  return one && { ...one, tags: found.tags, heldUp: found.heldUp }
}

/** As things are. */
const LONGER = {
  'kept-last': 'it is of the newest tags, which stay (keepLast)',
  'held-up': 'too many go at once, a person will have to confirm it (guard)',
  'with-image': 'it is about an image that stays, and goes with it',
} as const

/** `what` names it, and who deleted it. */
export function judgeDeletion(
  { state, dueAtMs, tags, heldUp, afterGrace }: FoundDeletion,
  { self, repository, what }: { self: string; repository: RepositoryName; what: string },
): readonly [Verdict, string] {
  switch (state) {
    case 'in-grace': {
      const until = new Date(dueAtMs).toISOString()
      const longer = afterGrace === undefined ? '' : `, and longer: ${LONGER[afterGrace]}`
      const why = `until ${until}, as the grace of its policy says${longer}; a newer push keeps it`
      return ['deleted-here-still-served', `${what}; ${self} goes on serving it ${why}.`]
    }
    case 'kept-last': {
      const why = `it is of the newest tags of ${repository}, which stay (keepLast)`
      return ['deleted-here-still-served', `${what}; ${self} goes on serving it: ${why}.`]
    }
    case 'with-image': {
      const why = 'it is about an image that was deleted too and stays, and goes with it'
      return ['deleted-here-still-served', `${what}; ${self} goes on serving it: ${why}.`]
    }
    case 'held-up': {
      const why = `${heldUp} of the ${tags} tags of ${repository} were deleted at once, more than its guard lets go`
      const how = `\`entrepot deletes ${self} --confirm ${repository}\` lets them go`
      return [
        'deleted-here-still-served',
        `${what}; ${self} goes on serving it until a person confirms it: ${why}; ${how}.`,
      ]
    }
    default:
      return ['settling', `${what}; ${self} is about to remove it.`]
  }
}

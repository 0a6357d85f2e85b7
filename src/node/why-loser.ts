/** The tag of a loser, said to a person: whose push it shows, which one won, and how to keep what it shows. */
import type { Verdict } from '../admin/why-view.ts'
import { writersWithEndpoints } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'
import type { FoundLoser } from './loser-of-tag.ts'
import { nameOf, recordText, sinceText } from './why-text.ts'

/** Of one that is served here, is about to be, or is not any more. */
export function judgeLoser(
  found: Parameters<typeof sinceText>[0],
  { of, conflict }: FoundLoser,
  topology: Topology,
): readonly [Verdict, string] {
  const { self, held } = found
  const { repository } = found.key
  const [name, fought] = [nameOf(found.key), nameOf({ repository, reference: of })]
  if (conflict === undefined) {
    const what = `a push of ${fought} that lost to a concurrent one`
    if (held !== undefined) return ['held', `${self} serves ${name}: ${what}.`]
    return ['deleted', `${name} was ${what}, until somebody pushed or deleted ${fought}.`]
  }
  const { loser, winner } = conflict
  const what = `the push of ${fought} (${recordText(loser, topology)}) that lost to a concurrent one (${recordText(winner, topology)})`
  const writers = writersWithEndpoints(topology, repository)
  const keep = `It goes when somebody pushes or deletes ${fought}; to keep it give ${loser.record.digest} a tag of its own at ${writers}.`
  if (held !== undefined)
    return ['held', `${self} serves ${name}: ${what}${sinceText(found)}. ${keep}`]
  return ['settling', `${self} is about to fetch ${name}: ${what}. ${keep}`]
}

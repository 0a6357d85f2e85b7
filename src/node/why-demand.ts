/** How a node takes what its links bring it, said to a person: for some platforms, when a client asks, at a word, in its window. */
import type { Verdict } from '../admin/why-view.ts'
import { bytesText } from '../lib/bytes-text.ts'
import type { RefusalReason } from '../planner/planner.ts'
import type { Found } from './why-found.ts'
import { nameOf } from './why-text.ts'

/** What the planner refuses because of how the policies take it; undefined for other reasons. */
export function judgeDemand(
  { self, key, held }: Found,
  { reason, record }: { readonly reason: RefusalReason; readonly record: string },
): readonly [Verdict, string] | undefined {
  const name = nameOf(key)
  const what = `${self} knows ${name} (${record})`
  const former = held === undefined ? '' : ' It serves the former one meanwhile.'
  switch (reason) {
    case 'on-request':
      return ['on-request', `${what} and fetches it when a client asks for it.${former}`]
    case 'on-word': {
      const command = `entrepot pull ${self} ${name}`
      return [
        'on-word',
        `${what} and fetches it at a person's word alone: \`${command}\`.${former}`,
      ]
    }
    case 'other-platform':
      return [
        'not-wanted',
        `${what} as a part of an image, for a platform that no policy has it hold.`,
      ]
    default:
      return undefined
  }
}

/** For which platforms the node holds it; empty where that is all of it. */
export function coverageText({ entry }: Found): string {
  const coverage = entry?.held?.coverage ?? 'all'
  if (coverage === 'all') return ''
  return coverage.length === 0 ? ', not whole' : ` for ${coverage.join(', ')}`
}

/** A job that waits for its window. */
export function windowText({ self, job, key, held }: Found): string {
  const { bytesTotal, bytesDone = 0, reason = 'waits for its window' } = job ?? {}
  const left = bytesTotal === undefined ? '' : `; ${bytesText(bytesTotal - bytesDone)} to come`
  const former = held === undefined ? '' : ' It serves the former one meanwhile.'
  return `${self} knows ${nameOf(key)} and ${reason}${left}.${former}`
}

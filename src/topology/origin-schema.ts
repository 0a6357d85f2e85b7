/** The schema of an entry of `origins`: who may write, and what holds when several do. */
import { z } from 'zod'
import { REPOSITORY_GLOBS, SELECTOR } from './words.ts'

const CONFLICT = z.discriminatedUnion('tags', [
  z.strictObject({
    tags: z
      .literal('register')
      .describe('register: of concurrent pushes of a tag one is shown, everywhere the same.'),
    resolve: z
      .literal('hlc-lww')
      .describe(
        'Which one: the later by hybrid logical clocks. A push that knew of the other replaces it.',
      ),
    keep: z
      .literal('losers-as-suffixed-tag')
      .optional()
      .describe(
        'What lost is served too, under TAG--WRITER-TIME. Default: it stays where it was pushed, by digest.',
      ),
  }),
  z.strictObject({
    tags: z
      .literal('immutable')
      .describe('immutable: a tag that exists is never moved. Needs exactly one writer.'),
  }),
])

export const ORIGIN = z.strictObject({
  repos: REPOSITORY_GLOBS.describe(
    'Globs over repository names; of the entries that match, the first holds.',
  ),
  writers: SELECTOR.describe('The nodes that accept pushes and sign records. At most 32.'),
  elsewhere: z
    .enum(['reject', 'redirect', 'proxy'])
    .default('reject')
    .describe(
      'A push at another node: reject = refused, naming the writers; redirect = 307 to the nearest writer; proxy = streamed on to it. Default: reject.',
    ),
  conflict: CONFLICT.optional().describe(
    'What holds when several write; needed with more than one writer. Default: none.',
  ),
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Deletion } from '../../../src/planner/delete-rule.ts'
import { createPlanner } from '../../../src/planner/planner.ts'
import { type History, merge } from '../../../src/record/history.ts'
import { keyText, type RecordKey, type SignedRecord } from '../../../src/record/tag-record.ts'
import type { Held } from '../../../src/storage/index-tables.ts'
import type { Entry } from '../../../src/storage/ledger.ts'
import type { Item } from '../../../src/topology/flow.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const KEY: RecordKey = { repository: repo('app'), reference: ref('v1') }
const image = digestNamed('image')
const hub = createWriter('hub')

interface World {
  readonly key?: RecordKey
  readonly history?: History
  readonly held?: Digest
  readonly complete?: readonly Digest[]
  readonly isWanted?: boolean
  readonly isWriter?: boolean
  readonly deletion?: Deletion
}

function planIn({ key = KEY, history, held, complete = [], ...rest }: World) {
  const { isWanted = true, isWriter = false, deletion } = rest
  const asked: Item[] = []
  const what: { readonly held?: Held } =
    held === undefined ? {} : { held: { digest: held, coverage: 'all' } }
  const entry: Entry | undefined = history && { key, number: 1, history, ...what }
  const planner = createPlanner({
    inventory: {
      entry: (of) => (keyText(of) === keyText(key) ? entry : undefined),
      isComplete: (_repository, digest) => complete.includes(digest),
      platformsOf: () => [],
      askedOf: () => undefined,
    },
    demands: {
      of: async (item) => {
        asked.push(item)
        return isWanted ? { held: 'all', priority: 0, policies: [] } : undefined
      },
    },
    naming: { tagsNaming: async function* () {} },
    loserTags: { of: () => [] },
    isWriter: () => isWriter,
    deletes: { of: async () => deletion },
  })
  return { plan: planner.plan(key), asked }
}

const put = (digest = image, history: History = [], key = KEY): SignedRecord =>
  hub.put(history, { ...key, digest })

describe('planner', () => {
  const shown = put()
  const gone = hub.delete([shown], KEY)
  const byDigest: RecordKey = { ...KEY, reference: image }
  const goneDigest = hub.delete([put(image, [], byDigest)], byDigest)

  test.each<[string, World, object]>([
    ['a key that nobody spoke of', {}, { kind: 'refusal', reason: 'unknown' }],
    [
      'a new record that is wanted',
      { history: [shown] },
      { kind: 'pull', digest: image, recordId: shown.id },
    ],
    [
      'a record that is not wanted',
      { history: [shown], isWanted: false },
      { reason: 'not-wanted' },
    ],
    ['what is shown already', { history: [shown], held: image }, { reason: 'already-here' }],
    [
      'what is shown and not wanted any more',
      { history: [shown], held: image, isWanted: false },
      { reason: 'already-here' },
    ],
    ['what is complete and not shown', { history: [shown], complete: [image] }, { kind: 'show' }],
    [
      'news while an older image is shown',
      { history: [shown], held: digestNamed('older'), complete: [digestNamed('older')] },
      { kind: 'pull', digest: image },
    ],
    ['a delete of what was never here', { history: [gone] }, { reason: 'absent' }],
    [
      'a delete where the node is no writer',
      { history: [gone], held: image },
      { reason: 'deleted-at-origin' },
    ],
    [
      'a delete where a policy has the node apply it',
      { history: [gone], held: image, deletion: { dueAtMs: 7, keepLast: 0 } },
      { kind: 'drop-later', dueAtMs: 7 },
    ],
    [
      'the same of what was never here',
      { history: [gone], deletion: { dueAtMs: 7, keepLast: 0 } },
      { reason: 'absent' },
    ],
    ['a delete at a writer', { history: [gone], held: image, isWriter: true }, { kind: 'drop' }],
    [
      'a delete by digest of a manifest that is here, at a writer',
      { key: byDigest, history: [goneDigest], complete: [image], isWriter: true },
      { kind: 'drop' },
    ],
    [
      'a delete by digest of a manifest that is not here, at a writer',
      { key: byDigest, history: [goneDigest], isWriter: true },
      { reason: 'absent' },
    ],
    [
      'an entry with what is held and no record',
      { history: [], held: image },
      { reason: 'adopted' },
    ],
    [
      'the same at a writer, who drops nothing that no delete names',
      { history: [], held: image, isWriter: true },
      { reason: 'adopted' },
    ],
  ])('%s', async (_, world, expected) => {
    expect(await planIn(world).plan).toMatchObject({ key: world.key ?? KEY, ...expected })
  })

  test('whether it is wanted is asked for what the record is about', async () => {
    const subject = digestNamed('subject')
    const signature = hub.put([], { ...byDigest, digest: image, subject })
    const { plan, asked } = planIn({ key: byDigest, history: [signature] })
    await plan
    expect(asked).toEqual([{ ...byDigest, subject }])
    const fallback: RecordKey = { ...KEY, reference: ref(`sha256-${subject.slice(7)}.sig`) }
    const other = planIn({ key: fallback, history: [put(image, [], fallback)] })
    await other.plan
    expect(other.asked).toEqual([{ ...fallback, subject }])
  })

  test('the plan is the same in whatever order the records came, and never pulls what is here', async () => {
    const writers = ['a', 'b', 'c'].map((name) => createWriter(name))
    const made = writers.flatMap((writer, at) => {
      const first = writer.put([], { ...KEY, digest: digestNamed(`first ${at}`) })
      return [first, writer.put([first], { ...KEY, digest: digestNamed(`second ${at}`) })]
    })
    const all = [...made, writers[0]?.delete(made.slice(0, 3), KEY)].filter((one) => one)
    const records = all as SignedRecord[]
    const mergeAll = (order: readonly SignedRecord[]) =>
      order.reduce<History>((history, one) => {
        const merged = merge(history, one)
        return merged.kind === 'changed' ? merged.history : history
      }, [])
    const expected = await planIn({ history: mergeAll(records) }).plan
    expect(expected.kind).toBe('pull')
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(records, { minLength: records.length }),
        fc.subarray(records.flatMap(({ record }) => (record.kind === 'put' ? record.digest : []))),
        async (order, complete) => {
          const history = mergeAll(order)
          expect(await planIn({ history }).plan).toEqual(expected)
          const plan = await planIn({ history, complete }).plan
          if (plan.kind === 'pull') expect(complete).not.toContain(plan.digest)
        },
      ),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import { createAuthor } from '../../../src/record/author.ts'
import { type History, losersOf, merge, visibleOf } from '../../../src/record/history.ts'
import { identityFromSeed } from '../../../src/record/identity.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createLogicalClock, type Time } from '../../../src/record/time.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'

const KEY = { repository: 'team/app' as RepositoryName, reference: 'v1' as Tag }
const IDENTITIES = [1, 2, 3].map((seed) => identityFromSeed(Buffer.alloc(32, seed)))

/** What may happen at a writer, in the order of a story. */
type Act =
  | { readonly kind: 'put' | 'delete'; readonly writer: number }
  /** It hears of everything that another one knows. */
  | { readonly kind: 'hear'; readonly writer: number; readonly from: number }
  /** It loses its disk: it knows nothing, its logical clock starts anew. */
  | { readonly kind: 'forget'; readonly writer: number }
  /** Wall clocks move on, or back. */
  | { readonly kind: 'tick'; readonly ms: number }

const WRITER = fc.nat(IDENTITIES.length - 1)
const ACT: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), writer: WRITER }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), writer: WRITER }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('hear' as const), writer: WRITER, from: WRITER }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), writer: WRITER }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('tick' as const),
      ms: fc.integer({ min: -50, max: 200 }),
    }),
  },
)

/** Plays a story. @returns every record that was ever signed, in the order of signing */
function play(acts: readonly Act[]): readonly SignedRecord[] {
  let now = 1_800_000_000_000
  const clock = { now: () => now, sleep: async () => {} }
  const authorOf = (writer: number) => {
    const identity = IDENTITIES[writer]
    if (identity === undefined) throw new Error('no such writer')
    return createAuthor(
      { identity, logicalClock: createLogicalClock({ clock }) },
      { realm: 'test' },
    )
  }
  const authors = IDENTITIES.map((_, writer) => authorOf(writer))
  const histories: History[] = IDENTITIES.map(() => [])
  const signed: SignedRecord[] = []
  for (const [at, act] of acts.entries()) {
    if (act.kind === 'tick') {
      now += act.ms
      continue
    }
    const history = histories[act.writer] ?? []
    if (act.kind === 'hear') histories[act.writer] = mergeAll(history, histories[act.from] ?? [])
    else if (act.kind === 'forget') {
      histories[act.writer] = []
      authors[act.writer] = authorOf(act.writer)
    } else {
      const { digest, bytes, mediaType } = makeBlob(bytesOf(`content ${at}`, 8), 'application/x')
      const facts = { kind: 'put', ...KEY, digest, size: bytes.length, mediaType } as const
      const record = authors[act.writer]?.sign(
        act.kind === 'put' ? facts : { kind: 'delete', ...KEY },
        history,
      )
      if (record === undefined) throw new Error('no such writer')
      signed.push(record)
      histories[act.writer] = mergeAll(history, [record])
    }
  }
  return signed
}

function mergeAll(history: History, records: readonly SignedRecord[]): History {
  return records.reduce<History>((kept, record) => {
    const merged = merge(kept, record)
    return merged.kind === 'known' ? kept : merged.history
  }, history)
}

const ids = (history: History) => history.map(({ id }) => id)

describe('the history of a key', () => {
  test('is the same in whatever order its records arrive, and however often', () => {
    const story = fc.array(ACT, { maxLength: 25 }).map(play)
    const shuffled = story.chain((records) =>
      fc.tuple(
        fc.constant(records),
        fc.shuffledSubarray([...records], { minLength: records.length }),
        fc.array(fc.nat(), { maxLength: 10 }),
      ),
    )
    fc.assert(
      fc.property(shuffled, ([records, order, again]) => {
        const repeated = again.flatMap((at) => order[at % Math.max(1, order.length)] ?? [])
        const one = mergeAll([], records)
        const other = mergeAll([], [...order, ...repeated])
        expect(ids(other)).toEqual(ids(one))
        expect(visibleOf(other)?.id).toBe(visibleOf(one)?.id)
      }),
      { numRuns: 300 },
    )
  })

  test('shows nothing that a record which saw it has deleted', () => {
    fc.assert(
      fc.property(fc.array(ACT, { maxLength: 25 }).map(play), (records) => {
        const visible = visibleOf(mergeAll([], records))
        if (visible === undefined) return
        for (const { writer, record } of records) {
          const hasSeen = (record.seen.get(visible.writer) ?? 0) >= visible.record.time
          const isItself = writer === visible.writer && record.time === visible.record.time
          if (hasSeen && !isItself)
            expect(mergeAll([], records).some(({ id }) => id === visible.id)).toBe(false)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('a delete removes what its author saw, and leaves a concurrent push', () => {
    const [first, ...others] = play([
      { kind: 'put', writer: 0 },
      { kind: 'hear', writer: 1, from: 0 },
      { kind: 'put', writer: 2 },
      { kind: 'delete', writer: 1 },
    ])
    const [concurrent] = others
    const history = mergeAll([], first === undefined ? others : [first, ...others])
    expect(visibleOf(history)?.id).toBe(concurrent?.id)
    expect(losersOf(history)).toEqual([])
  })

  test('a writer that lost its disk and deletes without its past does not bring anything back', () => {
    const records = play([
      { kind: 'put', writer: 0 },
      { kind: 'delete', writer: 0 },
      { kind: 'tick', ms: 10 },
      { kind: 'forget', writer: 0 },
      { kind: 'put', writer: 0 },
    ])
    const last = records.at(-1)
    expect(visibleOf(mergeAll([], records))?.id).toBe(last?.id)
    expect(visibleOf(mergeAll([], records.slice(0, 2)))).toBeUndefined()
  })

  test('of two records of one identity the same one wins everywhere, and the clone is reported', () => {
    const make = (content: string) => {
      const [identity] = IDENTITIES
      if (identity === undefined) throw new Error('no identity')
      const logicalClock = { next: () => 4_000_000_000_000_000 as Time, observe: () => {} }
      const { digest, bytes } = makeBlob(bytesOf(content, 8))
      const author = createAuthor({ identity, logicalClock }, { realm: 'test' })
      return author.sign({ kind: 'put', ...KEY, digest, size: bytes.length, mediaType: 'a/b' }, [])
    }
    const [a, b] = [make('a'), make('b')]
    expect(visibleOf(mergeAll([], [a, b]))?.id).toBe(visibleOf(mergeAll([], [b, a]))?.id)
    const merged = merge([a], b)
    expect(merged.kind === 'changed' && merged.cloned).toBe(true)
  })
})

describe('the logical clock', () => {
  test('gives out growing times, whatever the wall clock does and whatever was seen', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: -10_000, max: 10_000 }), fc.nat(5_000)), {
      maxLength: 50,
    })
    fc.assert(
      fc.property(steps, (moves) => {
        let now = 1_800_000_000_000
        const logicalClock = createLogicalClock({
          clock: { now: () => now, sleep: async () => {} },
        })
        let last = 0
        for (const [ms, seen] of moves) {
          now += ms
          const time = logicalClock.next([(last + seen) as Time])
          expect(time).toBeGreaterThan(last + seen)
          expect(Number.isSafeInteger(time)).toBe(true)
          last = time
        }
      }),
    )
  })
})

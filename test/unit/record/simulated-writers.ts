/** Writers of one key that exchange, forget, are cloned and write without knowing of each other. */
import fc from 'fast-check'
import { type History, merge } from '../../../src/record/history.ts'
import type { RecordKey, SignedRecord } from '../../../src/record/tag-record.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { createWriter, digestNamed, ref, repo, type Writer } from '../../helpers/writers.ts'

export const KEY: RecordKey = { repository: repo('app'), reference: ref('v1') }

type Step =
  | { readonly kind: 'put' | 'delete' | 'forget' | 'clone'; readonly who: number }
  /** `who` takes in what `from` keeps. */
  | { readonly kind: 'learn'; readonly who: number; readonly from: number }
  /** The wall clock of `who` jumps. */
  | { readonly kind: 'jump'; readonly who: number; readonly ms: number }

const WRITERS = 3
/** Each writer has a place for its clone. */
const who = fc.nat(WRITERS * 2 - 1)

export const STEPS: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), who }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), who }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('learn' as const), who, from: who }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), who }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('clone' as const), who }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('jump' as const),
        who,
        ms: fc.integer({ min: -5, max: 5 }),
      }),
    },
  ),
  { maxLength: 25 },
)

export interface WriterRun {
  readonly made: readonly SignedRecord[]
  /** Record id -> ids of all records that its author knew of, directly or through others. */
  readonly saw: ReadonlyMap<string, ReadonlySet<string>>
  readonly forgot: boolean
  readonly cloned: boolean
}

interface Place {
  writer: Writer
  clock: ReturnType<typeof createFakeClock>
  history: History
  knows: Set<string>
}

export function runWriters(steps: readonly Step[]): WriterRun {
  const made: SignedRecord[] = []
  const saw = new Map<string, ReadonlySet<string>>()
  const places = new Map<number, Place>()
  const open = (at: number): Place => {
    const clock = createFakeClock()
    const writer = createWriter(`writer ${at % WRITERS}`, { clock })
    return { writer, clock, history: [], knows: new Set() }
  }
  for (let at = 0; at < WRITERS; at += 1) places.set(at, open(at))

  for (const step of steps) {
    // Who was not cloned yet is the original.
    const at = places.has(step.who) ? step.who : step.who % WRITERS
    const place = places.get(at)
    if (place === undefined) throw new Error('every original has a place')
    if (step.kind === 'jump') place.clock.jump(step.ms)
    if (step.kind === 'forget') places.set(at, open(at))
    if (step.kind === 'clone') places.set((at % WRITERS) + WRITERS, copyOf(place, at))
    if (step.kind === 'learn') {
      const from = places.get(step.from) ?? places.get(step.from % WRITERS)
      place.history = mergeAll(place.history, from?.history ?? [])
      for (const id of from?.knows ?? []) place.knows.add(id)
    }
    if (step.kind !== 'put' && step.kind !== 'delete') continue
    const { writer, history } = place
    const digest = digestNamed(`content ${made.length}`)
    const signed =
      step.kind === 'put' ? writer.put(history, { ...KEY, digest }) : writer.delete(history, KEY)
    // A clone that does exactly the same makes the same record: no news.
    if (!saw.has(signed.id)) {
      made.push(signed)
      saw.set(signed.id, new Set(place.knows))
    }
    place.history = mergeAll(history, [signed])
    place.knows.add(signed.id)
  }
  const has = (kind: Step['kind']) => steps.some((step) => step.kind === kind)
  const cloned = made.some((one, at) =>
    made
      .slice(0, at)
      .some((other) => other.writer === one.writer && other.record.time === one.record.time),
  )
  return { made, saw, forgot: has('forget'), cloned }
}

/** The same key elsewhere: it knows what the original knew, and its clock begins again. */
function copyOf(place: Place, at: number): Place {
  const clock = createFakeClock()
  const writer = createWriter(`writer ${at % WRITERS}`, { clock })
  return { writer, clock, history: place.history, knows: new Set(place.knows) }
}

export function mergeAll(history: History, incoming: readonly SignedRecord[]): History {
  let merged = history
  for (const one of incoming) {
    const result = merge(merged, one)
    if (result.kind === 'changed') merged = result.history
  }
  return merged
}

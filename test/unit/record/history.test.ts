import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  contextOf,
  type History,
  losersOf,
  MAX_KEPT,
  merge,
  visibleOf,
} from '../../../src/record/history.ts'
import { MAX_KEYS, type SignedRecord } from '../../../src/record/tag-record.ts'
import { msOfTime, type Time, timeOfMs } from '../../../src/record/time.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { createWriter, digestNamed, identityNamed, recordBy } from '../../helpers/writers.ts'
import { KEY, mergeAll, runWriters, STEPS, type WriterRun } from './simulated-writers.ts'

const ids = (history: readonly SignedRecord[]) => history.map(({ id }) => id)

const contextFor = ({ record, writer }: SignedRecord) =>
  new Map(record.seen).set(writer, record.time)

/** Whether the context of `a` strictly contains the context of `b`. */
function replaces(a: SignedRecord, b: SignedRecord): boolean {
  const contains = (outer: SignedRecord, inner: SignedRecord) =>
    [...contextFor(inner)].every(([writer, time]) => (contextFor(outer).get(writer) ?? 0) >= time)
  return contains(a, b) && !contains(b, a)
}

/** The definition, said over the whole set at once: nothing about it knows an order. */
function unreplaced(all: readonly SignedRecord[]): readonly SignedRecord[] {
  return all.filter((one) => !all.some((other) => replaces(other, one)))
}

/** Of two records of one identity only one can be shown; which one is no matter of the order of arrival. */
const isTwin = (a: SignedRecord, b: SignedRecord) =>
  a.writer === b.writer && a.record.time === b.record.time

function visibleByDefinition(all: readonly SignedRecord[]): string | undefined {
  const stay = unreplaced(all)
  const standing = stay.filter(
    (put) =>
      put.record.kind === 'put' &&
      stay.every((other) =>
        isTwin(other, put)
          ? other.record.kind === 'put' || other.id <= put.id
          : (other.record.seen.get(put.writer) ?? 0) < put.record.time,
      ),
  )
  const [first] = [...standing].sort(
    (a, b) =>
      b.record.time - a.record.time ||
      Number(b.writer > a.writer) - Number(a.writer > b.writer) ||
      Number(b.id > a.id) - Number(a.id > b.id),
  )
  return first?.id
}

/** A run and the order in which its records come, some of them twice. */
const shuffled = STEPS.map(runWriters).chain((run) =>
  fc
    .shuffledSubarray([...run.made, ...run.made], {
      minLength: run.made.length * 2,
      maxLength: run.made.length * 2,
    })
    .map((order) => ({ run, order })),
)

describe('record / history', () => {
  test('any order of arrival, with doubles, gives the same history and shows the same', () => {
    fc.assert(
      fc.property(shuffled, ({ run, order }) => {
        const history = mergeAll([], order)
        expect(ids(history)).toEqual(ids(mergeAll([], run.made)))
        const open = ids(unreplaced(run.made))
        for (const id of ids(history)) expect(open).toContain(id)
        expect(contextOf(history)).toEqual(contextOf(run.made))
        expect(visibleOf(history)?.id).toBe(visibleByDefinition(run.made))
      }),
      { numRuns: 300 },
    )
  })

  test('histories merge the same whichever takes in the other, and again changes nothing', () => {
    fc.assert(
      fc.property(shuffled, fc.nat(100), ({ order, run }, at) => {
        const cut = at % (order.length + 1)
        const [a, b] = [mergeAll([], order.slice(0, cut)), mergeAll([], order.slice(cut))]
        const joined = mergeAll(a, b)
        expect(ids(joined)).toEqual(ids(mergeAll(b, a)))
        expect(ids(joined)).toEqual(ids(mergeAll([], run.made)))
        for (const one of [...joined, ...run.made]) expect(merge(joined, one).kind).toBe('known')
      }),
      { numRuns: 200 },
    )
  })

  test('nothing that the author of any record saw is ever shown beside that record', () => {
    fc.assert(
      fc.property(shuffled, ({ run, order }) => {
        let history: History = []
        const buried = new Set<string>()
        for (const one of order) {
          history = mergeAll(history, [one])
          for (const id of run.saw.get(one.id) ?? []) buried.add(id)
          expect(buried).not.toContain(visibleOf(history)?.id)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('among writers that remember, a delete removes what its author saw and nothing else', () => {
    const remembering = STEPS.map((steps) =>
      runWriters(steps.filter(({ kind }) => kind !== 'forget' && kind !== 'clone')),
    )
    fc.assert(
      fc.property(remembering, (run) => {
        const seen = new Set([...run.saw.values()].flatMap((some) => [...some]))
        const open = run.made.filter(({ id, record }) => record.kind === 'put' && !seen.has(id))
        const history = mergeAll([], run.made)
        const standing = [visibleOf(history), ...losersOf(history)].filter((one) => one)
        expect(new Set(standing.map((one) => one?.id))).toEqual(new Set(ids(open)))
      }),
      { numRuns: 300 },
    )
  })

  test('the runs contain what they are for: forgetting, clones, deletes and concurrent writes', () => {
    const runs: WriterRun[] = fc.sample(STEPS.map(runWriters), { numRuns: 200, seed: 1 })
    const count = (is: (run: WriterRun) => boolean) => runs.filter(is).length
    expect(count(({ made }) => mergeAll([], made).length > 1)).toBeGreaterThan(20)
    expect(
      count(({ made }) => made.some(({ record }) => record.kind === 'delete')),
    ).toBeGreaterThan(20)
    expect(count(({ forgot }) => forgot)).toBeGreaterThan(20)
    expect(count(({ cloned }) => cloned)).toBeGreaterThan(5)
  })

  test('a writer that writes again replaces what it wrote', () => {
    const hub = createWriter('hub')
    const first = hub.put([], { ...KEY, digest: digestNamed('1') })
    const second = hub.put([first], { ...KEY, digest: digestNamed('2') })
    expect(merge([first], second)).toEqual({ kind: 'changed', history: [second], cloned: false })
    expect(merge([second], first)).toEqual({ kind: 'known', cloned: false })
  })

  test('of two writers that did not know of each other the later one is shown, and the loser is known', () => {
    const [a, b] = [createWriter('a'), createWriter('b', { last: timeOfMs(START_MS + 1) })]
    const early = a.put([], { ...KEY, digest: digestNamed('early') })
    const late = b.put([], { ...KEY, digest: digestNamed('late') })
    const history = mergeAll([], [late, early])
    expect(visibleOf(history)).toBe(late)
    expect(losersOf(history)).toEqual([early])
    const settled = a.put(history, { ...KEY, digest: digestNamed('settled') })
    expect(mergeAll(history, [settled])).toEqual([settled])
  })

  test('a delete leaves what was written beside it', () => {
    const [a, b] = [createWriter('a'), createWriter('b')]
    const seen = a.put([], { ...KEY, digest: digestNamed('seen') })
    const gone = a.delete([seen], KEY)
    const beside = b.put([seen], { ...KEY, digest: digestNamed('beside') })
    expect(visibleOf(mergeAll([], [seen, gone, beside]))).toBe(beside)
    expect(visibleOf(mergeAll([], [gone, seen]))).toBeUndefined()
  })

  /**
   * A writer signs v1 and v2, loses its disk and signs v3 without knowing either; another writer, which knew v2, deletes.
   * A rule by "same writer and newer" brought v2 back where v3 was deleted next.
   */
  test('a writer that lost its disk brings nothing back', () => {
    const before = createWriter('a')
    const other = createWriter('b')
    const v1 = before.put([], { ...KEY, digest: digestNamed('v1') })
    const v2 = before.put([v1], { ...KEY, digest: digestNamed('v2') })
    const gone = other.delete([v2], KEY)
    const after = createWriter('a', { last: timeOfMs(START_MS + 10) })
    const v3 = after.put([], { ...KEY, digest: digestNamed('v3') })
    const all = mergeAll([], [v2, v3, v1, gone])
    expect(visibleOf(all)).toBe(v3)
    expect(visibleOf(mergeAll(all, [after.delete(all, KEY)]))).toBeUndefined()
    const blind = after.delete([v3], KEY)
    expect(visibleOf(mergeAll(all, [blind]))).toBeUndefined()
  })

  test('two records of one identity are a clone: the greater sha256 wins, in any order, and both orders tell', () => {
    const hub = identityNamed('hub')
    const [one, two] = ['1', '2'].map((name) => recordBy(hub, { digest: digestNamed(name) }))
    if (one === undefined || two === undefined) throw new Error('two records')
    const winner = one.id > two.id ? one : two
    for (const order of [
      [one, two],
      [two, one],
    ] as const) {
      expect(merge([order[0]], order[1])).toMatchObject({ kind: 'changed', cloned: true })
      expect(visibleOf(mergeAll([], order))).toBe(winner)
    }
    // Of many the greatest and the least stay, and a third is told of all the same.
    const more = Array.from({ length: 8 }, (_, at) =>
      recordBy(hub, { digest: digestNamed(`${at}`) }),
    )
    const sorted = ids(more).toSorted()
    expect(ids(mergeAll([], more))).toEqual([sorted.at(-1), sorted[0]])
    const other = more.find(({ id }) => id === sorted[3])
    expect(other && merge(mergeAll([], more), other)).toEqual({ kind: 'known', cloned: true })
  })

  test('who saw one of two twins has seen their identity: neither is shown beside its delete', () => {
    const other = createWriter('b').put([], { ...KEY, digest: digestNamed('other') })
    const time = timeOfMs(START_MS + 5)
    const alone = recordBy(identityNamed('a'), { time })
    const informed = recordBy(identityNamed('a'), {
      time,
      seen: new Map([[other.writer, other.record.time]]),
    })
    const gone = createWriter('c').delete([alone], KEY)
    const history = mergeAll([], [informed, gone, alone])
    expect(new Set(ids(history))).toEqual(new Set(ids([informed, gone])))
    expect(visibleOf(history)).toBeUndefined()
  })

  test('a cloned delete wins over the put of its identity when its sha256 is greater, and only then', () => {
    const outcomes = new Set<boolean>()
    for (let round = 0; round < 20; round += 1) {
      const last = timeOfMs(START_MS + round)
      const put = createWriter('a', { last }).put([], { ...KEY, digest: digestNamed('x') })
      const gone = createWriter('a', { last }).delete([], KEY)
      expect(put.record.time).toBe(gone.record.time)
      const isGone = visibleOf(mergeAll([], [put, gone])) === undefined
      expect(isGone).toBe(gone.id > put.id)
      expect(visibleOf(mergeAll([], [gone, put])) === undefined).toBe(isGone)
      outcomes.add(isGone)
    }
    expect(outcomes.size).toBe(2)
  })

  test('the context of a history is the newest time of every writer in it', () => {
    const [a, b] = [createWriter('a'), createWriter('b')]
    const first = a.put([], { ...KEY, digest: digestNamed('1') })
    const second = b.put([first], { ...KEY, digest: digestNamed('2') })
    const third = a.put([first], { ...KEY, digest: digestNamed('3') })
    expect(contextOf([second, third])).toEqual(
      new Map([
        [second.writer, second.record.time],
        [third.writer, third.record.time],
      ]),
    )
    const last = b.put([second, third], { ...KEY, digest: digestNamed('4') })
    expect([...last.record.seen.values()].every((time) => time < last.record.time)).toBe(true)
    expect(msOfTime(last.record.time)).toBe(START_MS)
  })

  test('32 writers with 12 former keys keep one record each, and their next one replaces them all', () => {
    const writers = Array.from({ length: MAX_KEYS }, (_, at) => createWriter(`writer ${at}`))
    const all = writers.map((writer, at) =>
      writer.put([], { ...KEY, digest: digestNamed(`${at}`) }),
    )
    const history = mergeAll([], all)
    expect(new Set(ids(history))).toEqual(new Set(ids(all)))
    const next = writers[0]?.put(history, { ...KEY, digest: digestNamed('next') })
    if (next === undefined) throw new Error('there are writers')
    expect(next.record.seen.size).toBe(MAX_KEYS)
    expect(mergeAll(history, [next])).toEqual([next])
  })

  /** Contexts that no honest writer makes: it knows others and forgets itself, again and again. */
  const rogue = fc
    .array(
      fc.record({
        who: fc.nat(3),
        time: fc.integer({ min: 1, max: 40 }),
        seen: fc.uniqueArray(fc.tuple(fc.nat(90), fc.integer({ min: 1, max: 39 })), {
          selector: ([name]) => name,
          maxLength: 12,
        }),
      }),
      { maxLength: 60 },
    )
    .map((drafts) =>
      drafts.map(({ who, time, seen }, at) =>
        recordBy(identityNamed(`rogue ${who}`), {
          digest: digestNamed(`rogue ${at}`),
          time: (timeOfMs(START_MS) + time) as Time,
          seen: new Map(
            seen
              .filter(([, before]) => before < time)
              .map(([name, before]) => [
                identityNamed(`rogue ${name}`).peerId,
                (timeOfMs(START_MS) + before) as Time,
              ]),
          ),
        }),
      ),
    )

  test('whatever writers sign, a history has its bound, and no order of arrival and no exchange between changes it', () => {
    let most = 0
    fc.assert(
      fc.property(rogue, fc.nat(100), (made, at) => {
        const history = mergeAll([], made)
        most = Math.max(most, history.length)
        expect(history.length).toBeLessThanOrEqual(MAX_KEPT)
        expect(ids(mergeAll([], [...made].reverse()))).toEqual(ids(history))
        const cut = at % (made.length + 1)
        const [a, b] = [mergeAll([], made.slice(0, cut)), mergeAll([], made.slice(cut))]
        expect(ids(mergeAll(a, b))).toEqual(ids(history))
        expect(ids(mergeAll(b, a))).toEqual(ids(history))
        for (const one of made) expect(merge(history, one).kind).toBe('known')
      }),
      { numRuns: 200 },
    )
    expect(most).toBeGreaterThan(8)
  })

  test('more keys than have room: every node keeps the records of the same ones', () => {
    const all = Array.from({ length: MAX_KEPT / 2 + 9 }, (_, at) =>
      recordBy(identityNamed(`w${at}`), { time: (timeOfMs(START_MS) + at) as Time }),
    )
    const history = mergeAll([], all)
    const smallest = all
      .map(({ writer }) => writer)
      .sort()

      .slice(0, MAX_KEPT / 2)
    expect(new Set(history.map(({ writer }) => writer))).toEqual(new Set(smallest))
    const halves = [all.slice(0, 40), all.slice(40)].map((half) => mergeAll([], half))
    expect(ids(mergeAll(halves[1] ?? [], halves[0] ?? []))).toEqual(ids(history))
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTag, type Tag } from '../../../src/oci/name.ts'
import { type History, visibleOf } from '../../../src/record/history.ts'
import { conflictOf, loserTags, newConflict, shortPeerId } from '../../../src/record/losers.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { type Time, timeOfMs } from '../../../src/record/time.ts'
import { digestNamed, identityNamed, recordBy, ref } from '../../helpers/writers.ts'
import { KEY, mergeAll, runWriters, STEPS } from './simulated-writers.ts'

const [FRA, IAD] = [identityNamed('fra'), identityNamed('iad')]
const AT_MS = Date.UTC(2026, 10, 24, 18, 54, 34, 123)
const nameOf = (writer: string) =>
  writer === FRA.peerId ? 'fra' : writer === IAD.peerId ? 'iad' : 'x'
const names = (history: History, name: (writer: string) => string = nameOf): readonly Tag[] => {
  const conflict = conflictOf(history)
  return conflict === undefined ? [] : loserTags(conflict, name).map(({ tag }) => tag)
}

const early = recordBy(FRA, { digest: digestNamed('early'), time: timeOfMs(AT_MS) })
const late = recordBy(IAD, { digest: digestNamed('late'), time: timeOfMs(AT_MS + 1) })

describe('record / losers', () => {
  test('a loser is named by its tag, its writer and its time', () => {
    expect(conflictOf([late, early])).toEqual({ winner: late, losers: [early] })
    expect(names([late, early])).toEqual(['v1--fra-20261124T185434.123Z'])
  })

  test('the second record of a millisecond has its number in the name', () => {
    const second = recordBy(FRA, { digest: digestNamed('2'), time: (timeOfMs(AT_MS) + 1) as Time })
    expect(names([late, second])).toEqual(['v1--fra-20261124T185434.123Z-1'])
  })

  test('two pushes of the same manifest are no conflict, and neither is a digest', () => {
    const same = recordBy(FRA, { digest: digestNamed('late'), time: timeOfMs(AT_MS) })
    expect(conflictOf([late, same])).toBeUndefined()
    expect(conflictOf([late])).toBeUndefined()
    expect(conflictOf([])).toBeUndefined()
  })

  test('two records of one identity have two names', () => {
    const identity = { time: timeOfMs(AT_MS) }
    const twins = ['a', 'b'].map((name) =>
      recordBy(FRA, { ...identity, digest: digestNamed(name) }),
    )
    const history = mergeAll([], [late, ...twins])
    const told = names(history)
    expect(told).toHaveLength(2)
    expect(told[0]).toBe('v1--fra-20261124T185434.123Z')
    expect(told[1]).toMatch(/^v1--fra-20261124T185434\.123Z-[0-9a-f]{8}$/)
  })

  test('what changed is told once', () => {
    const third = recordBy(identityNamed('nrt'), {
      digest: digestNamed('3'),
      time: timeOfMs(AT_MS - 1),
    })
    expect(newConflict([early], [late, early])).toEqual({ winner: late, losers: [early] })
    expect(newConflict([late, early], [late, early])).toBeUndefined()
    expect(newConflict([late, early], [late, early, third])?.losers).toEqual([early, third])
    expect(newConflict([late, early], [late])).toBeUndefined()
  })

  test('names are valid, one for each loser, and the same whatever the order of arrival', () => {
    const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/)
    const nodeName = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
    const run = STEPS.map(runWriters).chain((writers) =>
      fc.record({
        made: fc.constant(writers.made),
        other: fc.shuffledSubarray([...writers.made], { minLength: writers.made.length }),
      }),
    )
    let conflicts = 0
    fc.assert(
      fc.property(run, tag, nodeName, ({ made, other }, reference, node) => {
        // All writers under one name: only time and id tell them apart.
        const told = (records: readonly SignedRecord[]) =>
          names(
            mergeAll([], records).map((signed) => renamed(signed, reference)),
            () => node,
          )
        const tags = told(made)
        expect(told(other)).toEqual(tags)
        expect(new Set(tags).size).toBe(tags.length)
        for (const one of tags) expect(parseTag(one)).toBe(one)
        const history = mergeAll([], made)
        const shown = visibleOf(history)?.record.digest
        expect(tags).toHaveLength(conflictOf(history)?.losers.length ?? 0)
        for (const { record } of conflictOf(history)?.losers ?? []) {
          expect(record.digest).not.toBe(shown)
        }
        conflicts += Math.min(1, tags.length)
      }),
      { numRuns: 300 },
    )
    expect(conflicts).toBeGreaterThan(30)
  })

  test('long tags that begin alike keep names of their own', () => {
    const long = 'v'.repeat(120)
    const [one, two] = ['1', '2'].map((end) =>
      names([late, early].map((signed) => renamed(signed, `${long}${end}`))),
    )
    expect(one?.[0]).toHaveLength(128)
    expect(one).not.toEqual(two)
  })

  test('a peer id that no node has is told by its end', () => {
    expect(FRA.peerId.endsWith(shortPeerId(FRA.peerId))).toBe(true)
    expect(shortPeerId(FRA.peerId)).not.toBe(shortPeerId(IAD.peerId))
    expect(KEY.reference).toBe('v1')
  })
})

function renamed<T extends SignedRecord>(signed: T, tag: string): T {
  return { ...signed, record: { ...signed.record, reference: ref(tag) } }
}

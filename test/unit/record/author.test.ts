import { describe, expect, test } from 'vitest'
import { decodeRecord } from '../../../src/record/record-codec.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { createWriter, digestNamed, REALM, ref, repo } from '../../helpers/writers.ts'

const KEY = { repository: repo('app'), reference: ref('v1') }

describe('record / author', () => {
  test('what an author signs is accepted by everybody and carries its realm and its time', () => {
    const hub = createWriter('hub')
    const signed = hub.put([], { ...KEY, digest: digestNamed('x'), subject: digestNamed('s') })
    expect(decodeRecord(signed.bytes)).toEqual({ kind: 'record', signed })
    expect(signed.record).toMatchObject({ realm: REALM, time: timeOfMs(START_MS), ...KEY })
  })

  test('a record is newer than everything it has seen, also when the clock of its author is behind', () => {
    const clock = createFakeClock()
    const ahead = createWriter('ahead', { last: timeOfMs(START_MS + 50_000) })
    const first = ahead.put([], { ...KEY, digest: digestNamed('x') })
    const gone = createWriter('behind', { clock }).delete([first], KEY)
    expect(gone.record.time).toBe(first.record.time + 1)
    expect(gone.record.seen).toEqual(new Map([[first.writer, first.record.time]]))
    expect(decodeRecord(gone.bytes).kind).toBe('record')
  })
})

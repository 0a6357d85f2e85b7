import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeFeedAnswer,
  decodeFeedRequest,
  encodeFeedAnswer,
  encodeFeedRequest,
  type FeedAnswer,
  type FeedRequest,
  MAX_PAGE_ENTRIES,
} from '../../../src/gossip/feed-codec.ts'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import { MAX_KEPT } from '../../../src/record/history.ts'
import { MAX_RECORD_BYTES } from '../../../src/record/tag-record.ts'
import { digestNamed } from '../../helpers/writers.ts'

const REQUEST: FeedRequest = {
  version: 1,
  position: { epoch: 'abc', number: 12, filter: 'f' },
  waitMs: 30_000,
}
const ANSWER: FeedAnswer = {
  version: 1,
  epoch: 'abc',
  filter: 'f',
  restarted: false,
  entries: [
    { records: [Uint8Array.of(1, 2, 3)], held: digestNamed('x') },
    { records: [Uint8Array.of(4), Uint8Array.of(5)] },
  ],
  through: 14,
  head: 15,
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('gossip / feed-codec', () => {
  test('requests and answers have the bytes of their golden files', () => {
    const golden = (name: string) =>
      readFileSync(new URL(`golden/${name}-1.hex`, import.meta.url), 'utf8').trim()
    expect(hex(encodeFeedRequest(REQUEST))).toBe(golden('feed-request'))
    expect(hex(encodeFeedAnswer(ANSWER))).toBe(golden('feed-answer'))
    expect(decodeFeedRequest(Buffer.from(golden('feed-request'), 'hex'))).toEqual(REQUEST)
    expect(decodeFeedAnswer(Buffer.from(golden('feed-answer'), 'hex'))).toMatchObject({
      through: 14,
    })
  })

  test('requests and answers come back as they were', () => {
    expect(decodeFeedRequest(encodeFeedRequest(REQUEST))).toEqual(REQUEST)
    expect(decodeFeedRequest(encodeFeedRequest({ version: 1, waitMs: 0 }))).toEqual({
      version: 1,
      waitMs: 0,
    })
    const decoded = decodeFeedAnswer(encodeFeedAnswer(ANSWER))
    expect(decoded.entries.map(({ records }) => records.map(hex))).toEqual([
      ['010203'],
      ['04', '05'],
    ])
    expect(decoded).toMatchObject({ epoch: 'abc', filter: 'f', restarted: false, through: 14 })
    expect(decoded.entries[0]?.held).toBe(digestNamed('x'))
    expect(decoded.entries[1]).not.toHaveProperty('held')
  })

  /** Nodes of two versions run side by side while a mesh is upgraded: other bytes are another protocol. */
  test('frames have the bytes that they always had', () => {
    expect(hex(encodeFeedRequest(REQUEST))).toBe(
      'b900036776657273696f6e0168706f736974696f6eb900036565706f636863616263666e756d6265720c6666696c746572616666776169744d73197530',
    )
    expect(hex(encodeFeedAnswer({ ...ANSWER, entries: [{ records: [Uint8Array.of(7)] }] }))).toBe(
      'b900076776657273696f6e016565706f6368636162636666696c746572616669726573746172746564f467656e747269657381b90001677265636f726473814107677468726f7567680e64686561640f',
    )
  })

  test.each<[string, unknown]>([
    ['another version', { ...REQUEST, version: 2 }],
    ['a field that nobody knows', { ...REQUEST, more: 1 }],
    ['a wait below zero', { ...REQUEST, waitMs: -1 }],
    ['a wait of more than a minute', { ...REQUEST, waitMs: 60_001 }],
    ['no wait', { version: 1 }],
    ['a number below zero', { ...REQUEST, position: { ...REQUEST.position, number: -1 } }],
    ['a position without filter', { ...REQUEST, position: { epoch: 'abc', number: 1 } }],
    ['an epoch too long', { ...REQUEST, position: { ...REQUEST.position, epoch: 'e'.repeat(65) } }],
    ['text', 'request'],
    ['nothing', null],
  ])('a request with %s is refused', (_, value) => {
    expect(() => decodeFeedRequest(encodeCbor(value))).toThrow()
  })

  test.each<[string, unknown]>([
    ['another version', { ...ANSWER, version: 2 }],
    ['a field that nobody knows', { ...ANSWER, more: 1 }],
    ['no epoch', { ...ANSWER, epoch: '' }],
    ['a place before the beginning', { ...ANSWER, through: -1 }],
    ['a record that is text', { ...ANSWER, entries: [{ records: ['x'] }] }],
    [
      'a record that is too large',
      { ...ANSWER, entries: [{ records: [new Uint8Array(MAX_RECORD_BYTES + 1)] }] },
    ],
    [
      'too many records for one key',
      { ...ANSWER, entries: [{ records: Array(MAX_KEPT + 1).fill(new Uint8Array(1)) }] },
    ],
    ['too many entries', { ...ANSWER, entries: Array(MAX_PAGE_ENTRIES + 1).fill({ records: [] }) }],
    ['entries that are no list', { ...ANSWER, entries: {} }],
    [
      'something held for no platform',
      {
        ...ANSWER,
        entries: [{ records: [], partly: { held: digestNamed('x'), platforms: [] } }],
      },
    ],
    [
      'something held for too many platforms',
      {
        ...ANSWER,
        entries: [
          { records: [], partly: { held: digestNamed('x'), platforms: Array(17).fill('a/b') } },
        ],
      },
    ],
  ])('an answer with %s is refused', (_, value) => {
    expect(() => decodeFeedAnswer(encodeCbor(value))).toThrow()
  })

  test('what is held for some platforms comes back so, and is not taken for whole', () => {
    const partly = { held: digestNamed('x'), kept: [digestNamed('y')], platforms: ['linux/arm64'] }
    const answer = { ...ANSWER, entries: [{ records: [Uint8Array.of(7)], partly }] }
    const [entry] = decodeFeedAnswer(encodeFeedAnswer(answer)).entries
    expect(entry).toMatchObject({ partly })
    expect(entry).not.toHaveProperty('held')
    expect(entry).not.toHaveProperty('kept')
  })

  test('what a later version says of an entry is passed over', () => {
    const later = { ...ANSWER, entries: [{ records: [], held: digestNamed('x'), more: 1 }] }
    expect(decodeFeedAnswer(encodeCbor(later)).entries).toEqual([
      { records: [], held: digestNamed('x') },
    ])
  })

  test('what is held under a name that is no digest is not held', () => {
    const odd = { ...ANSWER, entries: [{ records: [], held: 'latest' }] }
    expect(decodeFeedAnswer(encodeCbor(odd)).entries[0]?.held).toBeUndefined()
  })

  test('whatever comes, decoding gives a frame or throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeFeedRequest, decodeFeedAnswer]) {
          try {
            expect(decode(bytes).version).toBe(1)
          } catch (err) {
            expect(err).toBeInstanceOf(Error)
          }
        }
      }),
    )
  })
})

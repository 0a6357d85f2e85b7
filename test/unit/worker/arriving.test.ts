import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { GrowingFile } from '../../../src/storage/blob-store.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Fetcher } from '../../../src/transfer/fetcher.ts'
import { readArriving } from '../../../src/worker/arriving.ts'

type Outcome = Awaited<ReturnType<Fetcher['blob']>>

const BYTES = Buffer.from('all the bytes of a layer')
const BLOB = { digest: digestOf(BYTES), size: BYTES.length, mediaType: 'a/b' }
const TARGET = {
  repository: 'team/app' as RepositoryName,
  image: { digest: digestOf(Buffer.from('manifest')) },
  blob: BLOB,
}

/** A flight whose bytes come when the test says so. */
function createFlight({ damaged = false } = {}) {
  const over = Promise.withResolvers<Outcome>()
  let tell = (_bytes: number) => {}
  let signal: AbortSignal | undefined
  const options = { isDamaged: false, isEvicted: false }
  /** A file goes on as it was opened, also when another one has its name. */
  let files: { bytes: Buffer } = { bytes: Buffer.alloc(0) }
  const openFile = (): GrowingFile => {
    const mine = files
    return {
      read: async (at, length) => mine.bytes.subarray(at, at + length),
      close: async () => {},
    }
  }
  const deps = {
    fetcher: {
      blob: (_repository, _image, _blob, how) => {
        tell = how.onProgress
        signal = how.signal
        options.isDamaged = how.isDamaged === true
        how.signal.addEventListener('abort', () => over.reject(how.signal.reason))
        return over.promise
      },
    } satisfies Pick<Fetcher, 'blob'>,
    blobs: {
      read: async (_digest: string, range?: { start: number; end: number }) =>
        options.isEvicted ? undefined : Readable.from([BYTES.subarray(range?.start, range?.end)]),
      openStaged: async () => openFile(),
    },
    damage: { has: () => damaged },
    clock: systemClock,
  }
  return {
    deps,
    isLeft: () => signal?.aborted,
    options,
    left: (bytes: Buffer) => {
      files = { bytes }
    },
    come: (bytes: Buffer) => {
      if (bytes.length < files.bytes.length) files = { bytes }
      files.bytes = bytes
      tell(bytes.length)
    },
    end: (outcome: Outcome) => over.resolve(outcome),
    read: (
      start = 0,
      end = BLOB.size,
      stop = new AbortController(),
      asking: readonly NodeName[] = [],
    ) => readArriving(deps, { ...TARGET, asking }, { start, end }, stop.signal),
  }
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(chunks)).toString()
}

describe('worker / arriving', () => {
  test('bytes are given as they come, and the last one once all of them are verified', async () => {
    const flight = createFlight()
    const chunks = flight.read()
    const first = chunks.next()
    flight.come(BYTES.subarray(0, 7))
    expect(Buffer.from((await first).value ?? []).toString()).toBe('all the')
    const second = chunks.next()
    flight.come(BYTES)
    expect((await second).value).toEqual(BYTES.subarray(7, -1))
    const last = chunks.next()
    flight.end({ kind: 'pulled', from: undefined })
    expect((await last).value).toEqual(BYTES.subarray(-1))
    expect((await chunks.next()).done).toBe(true)
  })

  test('a range waits for its bytes, and ends when all of the blob is verified: also a part of wrong bytes is never whole', async () => {
    const flight = createFlight()
    const chunks = flight.read(4, 7)
    const first = chunks.next()
    flight.come(BYTES.subarray(0, 9))
    expect(Buffer.from((await first).value ?? []).toString()).toBe('th')
    const last = chunks.next()
    flight.come(BYTES)
    flight.end({ kind: 'pulled', from: undefined })
    expect(Buffer.from((await last).value ?? []).toString()).toBe('e')
    const wrong = createFlight()
    const text = all(wrong.read(4, 7))
    wrong.come(Buffer.from('all eht bytes of a layer'))
    await new Promise((resolve) => setImmediate(resolve))
    wrong.come(Buffer.alloc(0))
    await expect(text).rejects.toThrow('had wrong bytes')
  })

  test('a node gets a range as soon as its bytes are here: it verifies the whole itself, piece by piece where its link is slow', async () => {
    const flight = createFlight()
    const text = all(flight.read(4, 7, new AbortController(), ['below' as NodeName]))
    flight.come(BYTES.subarray(0, 9))
    expect(await text).toBe('the')
    expect(flight.isLeft()).toBe(true)
  })

  test('what is here already is read from the store', async () => {
    const flight = createFlight()
    flight.end({ kind: 'pulled', from: undefined })
    expect(await all(flight.read(4))).toBe('the bytes of a layer')
  })

  test('a blob that does not come is an error with the reason of its sources', async () => {
    const flight = createFlight()
    flight.end({ kind: 'no-holder', reason: 'hub: not there', askedAll: true })
    await expect(all(flight.read())).rejects.toThrow('hub: not there')
  })

  test('where wrong bytes were given the reader is told so instead of getting the right rest', async () => {
    const flight = createFlight()
    const chunks = flight.read()
    const first = chunks.next()
    flight.come(Buffer.from('wrong bytes'))
    await first
    const next = chunks.next()
    flight.come(Buffer.alloc(0))
    flight.come(BYTES)
    await expect(next).rejects.toThrow('had wrong bytes')
  })

  test('wrong bytes that were not given yet do no harm', async () => {
    const flight = createFlight()
    const text = all(flight.read(12))
    flight.come(Buffer.from('wrong bytes'))
    flight.come(Buffer.alloc(0))
    flight.come(BYTES)
    flight.end({ kind: 'pulled', from: undefined })
    expect(await text).toBe(BYTES.subarray(12).toString())
  })

  test('a whole stage of wrong bytes that an earlier process left is not read after it was thrown away', async () => {
    const flight = createFlight()
    flight.left(Buffer.from('these bytes are all wrong'))
    const chunks = flight.read()
    const first = chunks.next()
    await new Promise((resolve) => setImmediate(resolve))
    flight.come(Buffer.alloc(0))
    flight.come(BYTES.subarray(0, 7))
    expect(Buffer.from((await first).value ?? []).toString()).toBe('all the')
  })

  test('a slow reader gets the rest of what was evicted meanwhile; one that opened nothing is cut', async () => {
    const flight = createFlight()
    const chunks = flight.read()
    const first = chunks.next()
    flight.come(BYTES.subarray(0, 7))
    await first
    flight.come(BYTES)
    flight.end({ kind: 'pulled', from: undefined })
    flight.options.isEvicted = true
    expect(await all(chunks)).toBe(BYTES.subarray(7).toString())
    await expect(all(flight.read())).rejects.toThrow('was here a moment ago')
  })

  test('a file with wrong bytes is not taken for the blob', async () => {
    const flight = createFlight({ damaged: true })
    flight.end({ kind: 'pulled', from: undefined })
    await all(flight.read())
    expect(flight.options.isDamaged).toBe(true)
  })

  test('a reader that leaves takes no part in the flight any more', async () => {
    const flight = createFlight()
    const stop = new AbortController()
    const text = all(flight.read(0, BLOB.size, stop))
    flight.come(BYTES.subarray(0, 3))
    stop.abort(new Error('client left'))
    await expect(text).rejects.toThrow('client left')
    expect(flight.isLeft()).toBe(true)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Attempt } from '../../../src/transfer/attempts.ts'
import { pullBlob, stageNameOf } from '../../../src/transfer/pull-blob.ts'
import type { BlobAnswer, RegistrySource } from '../../../src/transfer/registry-source.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const BLOB = makeBlob(bytesOf('a layer', 1_000))
const DESCRIPTOR = { mediaType: BLOB.mediaType, digest: BLOB.digest, size: BLOB.bytes.length }
const BAD = bytesOf('something else', 1_000)

/** What a holder answers to the nth time it is asked. */
type Script = (offset: number, signal: AbortSignal) => Omit<BlobAnswer, 'kind'> | undefined

async function* chunks(bytes: Uint8Array, size = 100): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* cutAfter(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes.subarray(0, size))
  throw new Error('connection reset')
}

function setUp(holders: Readonly<Record<string, Script>>, disk = createMemoryDisk()) {
  const blobs = createMemoryBlobStore({ clock: createFakeClock(), disk })
  const asked: string[] = []
  const attempts: Attempt[] = []
  const progress: number[] = []
  const source: RegistrySource = {
    manifest: async () => ({ kind: 'absent' }),
    blob: async (node, _repository, _digest, { offset, signal }) => {
      asked.push(`${node} from ${offset}`)
      const answer = holders[node]?.(offset, signal)
      return answer === undefined ? { kind: 'absent' } : { kind: 'blob', ...answer }
    },
  }
  const pull = (signal = new AbortController().signal) =>
    pullBlob(
      { source, blobs, onAttempt: (one) => attempts.push(one), onFetched: () => {} },
      {
        repository: repo('app'),
        digest: BLOB.digest,
        sources: Object.keys(holders) as NodeName[],
        blob: DESCRIPTOR,
      },
      { signal, onProgress: (bytes) => progress.push(bytes) },
    )
  return { pull, blobs, disk, asked, attempts, progress }
}

const honest: Script = (offset) => ({ offset, body: chunks(BLOB.bytes.subarray(offset)) })
const corrupt: Script = (offset) => ({ offset, body: chunks(BAD.subarray(offset)) })

/** A stage as an earlier run left it. */
async function staged(disk: ReturnType<typeof createMemoryDisk>, bytes: Uint8Array) {
  const blobs = createMemoryBlobStore({ clock: createFakeClock(), disk })
  await (await blobs.stage(stageNameOf(BLOB.digest))).append(chunks(bytes))
}

describe('transfer / pull-blob: given up', () => {
  test('a body that comes when nobody wants it any more is ended, so that whoever counts it hears of it', async () => {
    const stop = new AbortController()
    let ended = 0
    const { pull } = setUp({
      a: (offset) => {
        stop.abort(new Error('cancelled'))
        const counted = async function* () {
          try {
            yield* chunks(BLOB.bytes.subarray(offset))
          } finally {
            ended += 1
          }
        }
        return { offset, body: counted() }
      },
    })
    await expect(pull(stop.signal)).rejects.toThrow('cancelled')
    await settle()
    expect(ended).toBe(1)
  })
})

describe('transfer / pull-blob: whose fault it is', () => {
  test('who completed bytes of an earlier run is not blamed for them, and is asked again, after the others', async () => {
    const disk = createMemoryDisk()
    await staged(disk, BAD.subarray(0, 300))
    const { pull, asked, attempts } = setUp({ a: honest, b: () => undefined }, disk)
    expect(await pull()).toEqual({ kind: 'pulled', from: 'a' })
    expect(asked).toEqual(['a from 300', 'b from 0', 'a from 0'])
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['absent'])
  })

  test('a stage that an earlier run completed is committed without asking anybody', async () => {
    const disk = createMemoryDisk()
    await staged(disk, BLOB.bytes)
    const { pull, asked } = setUp({ a: honest }, disk)
    expect(await pull()).toEqual({ kind: 'pulled', from: undefined })
    expect(asked).toEqual([])
  })

  test.each([
    ['as long as the blob', BAD],
    ['longer than the blob', Buffer.concat([BLOB.bytes, BLOB.bytes])],
  ])('a stage of wrong bytes %s is begun anew', async (_, bytes) => {
    const disk = createMemoryDisk()
    await staged(disk, bytes)
    const { pull, asked } = setUp({ a: honest }, disk)
    expect(await pull()).toEqual({ kind: 'pulled', from: 'a' })
    expect(asked).toEqual(['a from 0'])
  })

  test('a holder that gave wrong bytes alone is blamed once and not asked again', async () => {
    const { pull, asked, attempts } = setUp({ a: corrupt })
    expect(await pull()).toMatchObject({ kind: 'failed' })
    expect(asked).toEqual(['a from 0'])
    expect(attempts.map(({ node, outcome }) => `${node} ${outcome}`)).toEqual(['a corrupt'])
  })

  test('of two that were mixed the one that is wrong alone is blamed', async () => {
    const half: Script = (offset) => ({ offset, body: cutAfter(BAD.subarray(offset), 500) })
    let times = 0
    const first: Script = (...asked) => {
      times += 1
      return times === 1 ? half(...asked) : corrupt(...asked)
    }
    const { pull, attempts } = setUp({ a: first, b: honest })
    expect(await pull()).toEqual({ kind: 'pulled', from: 'b' })
    expect(attempts.map(({ node, outcome }) => `${node} ${outcome}`)).toEqual([
      'a unreachable',
      'a corrupt',
    ])
  })

  test('a holder that sends too much gives nothing beyond the size, and the next one completes', async () => {
    const tooMuch: Script = (offset) => ({
      offset,
      body: chunks(Buffer.concat([BLOB.bytes, BAD]).subarray(offset), 300),
    })
    const { pull, attempts, disk } = setUp({ a: tooMuch, b: honest })
    expect(await pull()).toMatchObject({ kind: 'pulled', from: 'b' })
    expect(attempts).toMatchObject([{ node: 'a', reason: 'more bytes than the manifest says' }])
    expect(disk.blobs.get(BLOB.digest)).toHaveLength(BLOB.bytes.length)
  })

  test('a holder that ends early, or gives nothing at all, is left for the next', async () => {
    const short: Script = (offset) => ({ offset, body: chunks(BLOB.bytes.subarray(offset, 200)) })
    const empty: Script = (offset) => ({ offset, body: chunks(new Uint8Array()) })
    const { pull, asked, attempts } = setUp({ a: short, b: empty, c: honest })
    expect(await pull()).toMatchObject({ kind: 'pulled', from: 'c' })
    expect(asked).toEqual(['a from 0', 'b from 200', 'c from 200'])
    expect(attempts.map(({ reason }) => reason)).toEqual([
      'ended after 200 of 1000 bytes',
      'ended after 200 of 1000 bytes',
    ])
  })

  test('a holder without ranges that is cut before the byte that is wanted adds nothing', async () => {
    const disk = createMemoryDisk()
    await staged(disk, BLOB.bytes.subarray(0, 400))
    const rangeless: Script = () => ({ offset: 0, body: cutAfter(BLOB.bytes, 300) })
    const { pull, asked } = setUp({ a: rangeless, b: honest }, disk)
    expect(await pull()).toMatchObject({ kind: 'pulled', from: 'b' })
    expect(asked).toEqual(['a from 400', 'b from 400'])
  })

  test('an empty blob needs nobody', async () => {
    const empty = makeBlob(new Uint8Array())
    const blobs = createMemoryBlobStore({ clock: createFakeClock(), disk: createMemoryDisk() })
    const source = { manifest: unasked, blob: unasked } as unknown as RegistrySource
    const outcome = await pullBlob(
      { source, blobs, onAttempt: () => {}, onFetched: () => {} },
      {
        repository: repo('app'),
        digest: empty.digest,
        sources: ['a' as NodeName],
        blob: { mediaType: 'x', digest: empty.digest, size: 0 },
      },
      { signal: new AbortController().signal, onProgress: () => {} },
    )
    expect(outcome).toEqual({ kind: 'pulled', from: undefined })
    expect(await blobs.stat(empty.digest)).toEqual({ size: 0 })
  })
})

function unasked(): never {
  throw new Error('nobody should be asked')
}

describe('transfer / pull-blob: on the way', () => {
  test('progress grows with the bytes, counts what was staged, and ends at the size', async () => {
    const disk = createMemoryDisk()
    await staged(disk, BLOB.bytes.subarray(0, 300))
    const { pull, progress } = setUp({ a: honest }, disk)
    await pull()
    expect(progress).toEqual([400, 500, 600, 700, 800, 900, 1_000])
  })

  test('an abort throws its reason and keeps the bytes for the next run', async () => {
    const stop = new AbortController()
    const endless: Script = (offset) => ({
      offset,
      body: (async function* () {
        yield* chunks(BLOB.bytes.subarray(offset, 300))
        stop.abort(new Error('cancelled'))
        yield* chunks(BLOB.bytes.subarray(300))
      })(),
    })
    const { pull, disk, attempts } = setUp({ a: endless })
    await expect(pull(stop.signal)).rejects.toThrow('cancelled')
    expect(attempts).toEqual([])
    expect(disk.stages.get(stageNameOf(BLOB.digest))?.bytes).toHaveLength(300)
    const later = setUp({ a: honest }, disk)
    expect(await later.pull()).toMatchObject({ kind: 'pulled' })
    expect(later.asked).toEqual(['a from 300'])
  })

  test('the body is given back when the pull ends before its end', async () => {
    let isReturned = false
    const watched: Script = (offset) => ({
      offset,
      body: (async function* () {
        try {
          for (;;) yield BLOB.bytes
        } finally {
          isReturned = true
        }
      })(),
    })
    await setUp({ a: watched }).pull()
    expect(isReturned).toBe(true)
  })

  test('with one honest holder among any others the blob arrives, and an honest one is never called corrupt', async () => {
    const behaviour = fc.constantFrom('honest', 'corrupt', 'absent', 'cut', 'short', 'rangeless')
    const holders = fc.array(fc.tuple(behaviour, fc.integer({ min: 0, max: 9 })), { maxLength: 5 })
    const script = (kind: string, hundreds: number): Script => {
      if (kind === 'honest') return honest
      if (kind === 'corrupt') return corrupt
      if (kind === 'absent') return () => undefined
      if (kind === 'rangeless') return () => ({ offset: 0, body: chunks(BLOB.bytes) })
      const until = hundreds * 100
      if (kind === 'short')
        return (offset) => ({ offset, body: chunks(BLOB.bytes.subarray(offset, until)) })
      return (offset) => ({ offset, body: cutAfter(BLOB.bytes.subarray(offset), until) })
    }
    await fc.assert(
      fc.asyncProperty(holders, fc.nat(5), fc.nat(9), fc.boolean(), async (others, at, ...left) => {
        const [staged100, isBad] = left
        const all = others.toSpliced(at, 0, ['honest', 0])
        const scripts = Object.fromEntries(
          all.map(([kind, hundreds], no) => [`n${no}-${kind}`, script(kind, hundreds)]),
        )
        const disk = createMemoryDisk()
        await staged(disk, (isBad ? BAD : BLOB.bytes).subarray(0, staged100 * 100))
        const { pull, attempts } = setUp(scripts, disk)
        expect(await pull()).toMatchObject({ kind: 'pulled' })
        expect(Buffer.compare(disk.blobs.get(BLOB.digest) ?? new Uint8Array(), BLOB.bytes)).toBe(0)
        const blamed = attempts.filter(({ outcome }) => outcome === 'corrupt')
        expect(blamed.every(({ node }) => node.endsWith('corrupt'))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

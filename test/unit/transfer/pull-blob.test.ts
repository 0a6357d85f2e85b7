import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { BlobStore } from '../../../src/storage/blob-store.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Attempt } from '../../../src/transfer/attempts.ts'
import { LinkClosedError } from '../../../src/transfer/pacer.ts'
import { pullBlob, stageNameOf } from '../../../src/transfer/pull-blob.ts'
import type { BlobAsk, RegistrySource } from '../../../src/transfer/registry-source.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'

const BLOB = makeBlob(bytesOf('a layer', 1_000))
const DESCRIPTOR = { mediaType: BLOB.mediaType, digest: BLOB.digest, size: BLOB.bytes.length }
const signal = new AbortController().signal

/** How a holder behaves: its bytes, and where it cuts. */
interface Holder {
  readonly bytes?: Uint8Array
  /** Bytes given in one answer before the connection breaks. */
  readonly cutAfter?: number
  readonly ignoresRange?: boolean
  readonly isDown?: boolean
  /** Its link is closed until then: from the beginning, or where it cuts. */
  readonly closedUntilMs?: number
}

function setUp(
  holders: Record<string, Holder>,
  blobs: BlobStore = createMemoryBlobStore({ clock: systemClock, disk: createMemoryDisk() }),
  onAsk: (ask: BlobAsk) => void = () => {},
) {
  const asked: string[] = []
  const attempts: Attempt[] = []
  const fetched: string[] = []
  const source: RegistrySource = {
    manifest: async () => ({ kind: 'absent' }),
    blob: async (node, _repository, _digest, ask) => {
      onAsk(ask)
      const { offset } = ask
      asked.push(`${node} from ${offset}`)
      const holder = holders[node]
      if (holder?.isDown) return { kind: 'unreachable', reason: 'refused' }
      const { closedUntilMs, cutAfter } = holder ?? {}
      const closed =
        closedUntilMs === undefined ? undefined : new LinkClosedError(node, closedUntilMs)
      if (closed !== undefined && cutAfter === undefined) {
        return { kind: 'closed', reason: closed.message, untilMs: closed.untilMs }
      }
      if (holder?.bytes === undefined) return { kind: 'absent' }
      const from = holder.ignoresRange ? 0 : offset
      return {
        kind: 'blob',
        offset: from,
        body: give(holder.bytes.subarray(from), cutAfter, closed),
      }
    },
  }
  const pull = (sources: readonly string[]) =>
    pullBlob(
      {
        source,
        blobs,
        onAttempt: (attempt) => attempts.push(attempt),
        onFetched: (_digest, _size, from) => fetched.push(from),
      },
      {
        repository: 'team/app' as RepositoryName,
        digest: BLOB.digest,
        sources: sources as NodeName[],
        blob: DESCRIPTOR,
      },
      { signal, onProgress: () => {} },
    )
  return { pull, blobs, asked, attempts, fetched }
}

async function* give(
  bytes: Uint8Array,
  cutAfter = Number.POSITIVE_INFINITY,
  cut = new Error('connection reset'),
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100) {
    if (at >= cutAfter) throw cut
    yield bytes.subarray(at, at + 100)
  }
}

const good = { bytes: BLOB.bytes }
const bad = { bytes: bytesOf('not the layer', 1_000) }

describe('a blob', () => {
  test('comes from the first holder that has it', async () => {
    const { pull, blobs, asked, fetched } = setUp({ a: {}, b: { isDown: true }, c: good })
    expect(await pull(['a', 'b', 'c'])).toEqual({ kind: 'pulled', from: 'c' })
    expect(asked).toEqual(['a from 0', 'b from 0', 'c from 0'])
    expect(fetched).toEqual(['c'])
    expect(await blobs.readAll(BLOB.digest)).toEqual(BLOB.bytes)
  })

  test('goes on at the next holder from the byte where the last one was cut', async () => {
    const { pull, asked, attempts } = setUp({ a: { ...good, cutAfter: 300 }, b: good })
    expect(await pull(['a', 'b'])).toMatchObject({ kind: 'pulled' })
    expect(asked).toEqual(['a from 0', 'b from 300'])
    expect(attempts).toMatchObject([{ node: 'a', outcome: 'unreachable' }])
  })

  test('behind closed links is worth a try when the first of them opens, and goes on from what came', async () => {
    const { pull, attempts, blobs } = setUp({
      a: { ...good, cutAfter: 300, closedUntilMs: 9_000 },
      b: { ...good, closedUntilMs: 5_000 },
      c: {},
    })
    expect(await pull(['a', 'b', 'c'])).toMatchObject({ kind: 'failed', untilMs: 5_000 })
    expect(attempts).toMatchObject([
      { node: 'a', outcome: 'closed', untilMs: 9_000 },
      { node: 'b', outcome: 'closed', untilMs: 5_000 },
      { node: 'c', outcome: 'absent' },
    ])
    const later = setUp({ a: good }, blobs)
    expect(await later.pull(['a'])).toMatchObject({ kind: 'pulled' })
    expect(later.asked).toEqual(['a from 300'])
  })

  test('that a holder with an open link did not give is worth a try soon', async () => {
    const { pull } = setUp({ a: { ...good, closedUntilMs: 9_000 }, b: { isDown: true } })
    const failure = await pull(['a', 'b'])
    expect(failure).toMatchObject({ kind: 'failed' })
    expect(failure).not.toHaveProperty('untilMs')
  })

  test('says its size with its question, so that a small one may go ahead', async () => {
    const sizes: (number | undefined)[] = []
    await setUp({ a: good, b: {} }, undefined, ({ size }) => sizes.push(size)).pull(['b', 'a'])
    expect(sizes).toEqual([1_000, 1_000])
  })

  test('goes on after a restart from what is staged', async () => {
    const blobs = createMemoryBlobStore({ clock: systemClock, disk: createMemoryDisk() })
    expect(await setUp({ a: { ...good, cutAfter: 400 } }, blobs).pull(['a'])).toMatchObject({
      kind: 'failed',
    })
    const { pull, asked } = setUp({ a: good }, blobs)
    expect(await pull(['a'])).toMatchObject({ kind: 'pulled' })
    expect(asked).toEqual(['a from 400'])
  })

  test('is put together also from a holder that knows no ranges', async () => {
    const { pull } = setUp({ a: { ...good, cutAfter: 250 }, b: { ...good, ignoresRange: true } })
    expect(await pull(['a', 'b'])).toMatchObject({ kind: 'pulled' })
  })

  test('of the wrong bytes is thrown away, its only giver is blamed, and another holder is asked from the start', async () => {
    const { pull, asked, attempts, blobs } = setUp({ a: bad, b: good })
    expect(await pull(['a', 'b'])).toMatchObject({ kind: 'pulled', from: 'b' })
    expect(asked).toEqual(['a from 0', 'b from 0'])
    expect(attempts).toMatchObject([{ node: 'a', outcome: 'corrupt' }])
    expect(await blobs.stages()).toEqual([])
  })

  test('mixed of right and wrong bytes is fetched again from each holder alone', async () => {
    const { pull, asked, attempts } = setUp({ a: { ...bad, cutAfter: 500 }, b: good, c: {} })
    expect(await pull(['a', 'b', 'c'])).toMatchObject({ kind: 'pulled', from: 'b' })
    expect(asked).toEqual(['a from 0', 'b from 500', 'c from 0', 'a from 0', 'b from 0'])
    expect(attempts.filter(({ outcome }) => outcome === 'corrupt')).toEqual([])
  })

  test('that nobody gives right ends as a failure, and nothing of it is left', async () => {
    const { pull, blobs } = setUp({ a: bad, b: bad })
    expect(await pull(['a', 'b'])).toMatchObject({ kind: 'failed' })
    expect(await blobs.stat(BLOB.digest)).toBeUndefined()
    const stage = await blobs.stage(stageNameOf(BLOB.digest))
    expect(stage.size).toBe(0)
  })

  test('that is longer than its manifest says is not taken', async () => {
    const { pull, attempts } = setUp({ a: { bytes: Buffer.concat([BLOB.bytes, BLOB.bytes]) } })
    expect((await pull(['a'])).kind).not.toBe('stored')
    expect(attempts.length).toBeGreaterThan(0)
  })

  test('that nobody has says whether everybody was asked', async () => {
    expect(await setUp({ a: {}, b: {} }).pull(['a', 'b'])).toMatchObject({
      kind: 'no-holder',
      askedAll: true,
    })
    expect(await setUp({}).pull([])).toMatchObject({ kind: 'no-holder', askedAll: false })
    expect(await setUp({ a: {}, b: { isDown: true } }).pull(['a', 'b'])).toMatchObject({
      kind: 'failed',
    })
  })

  test('that does not fit on the disk is no fault of the holder', async () => {
    const blobs = createMemoryBlobStore({ clock: systemClock, disk: createMemoryDisk() })
    const full: BlobStore = {
      ...blobs,
      stage: async (name) => ({
        name,
        size: 0,
        append: async (source) => {
          for await (const _chunk of source) break
          throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
        },
        commit: async () => ({ kind: 'stored', size: 0 }),
        discard: async () => {},
        close: async () => {},
      }),
    }
    const { pull, attempts } = setUp({ a: good, b: good }, full)
    await expect(pull(['a', 'b'])).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(attempts).toEqual([])
  })
})

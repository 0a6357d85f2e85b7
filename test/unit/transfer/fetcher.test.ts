import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Attempt } from '../../../src/transfer/attempts.ts'
import { createFetcher } from '../../../src/transfer/fetcher.ts'
import type { RegistrySource } from '../../../src/transfer/registry-source.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { bytesOf, makeBlob, makeImage } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const BLOB = makeBlob(bytesOf('layer', 300))
const DESCRIPTOR = { mediaType: BLOB.mediaType, digest: BLOB.digest, size: BLOB.bytes.length }
const image = makeImage('image')

function setUp(has = true, closing: Promise<void> = Promise.resolve()) {
  const blobs = createMemoryBlobStore({ clock: createFakeClock(), disk: createMemoryDisk() })
  const gate = Promise.withResolvers<void>()
  const asked: string[] = []
  const failed: Attempt[] = []
  const ranked: Digest[] = []
  const source: RegistrySource = {
    manifest: async () => ({ kind: 'absent' }),
    blob: async (node, _repository, _digest, { offset, signal }) => {
      asked.push(node)
      if (!has) return { kind: 'absent' }
      const body = async function* () {
        for (let at = offset; at < BLOB.bytes.length; at += 100) {
          yield BLOB.bytes.subarray(at, at + 100)
          await gate.promise
          signal.throwIfAborted()
        }
      }
      return { kind: 'blob', offset, body: body() }
    },
  }
  const events = createEventBus({ logger: silentLogger })
  const happened: MeshEvent[] = []
  events.onAny((event) => happened.push(event))
  const sources = {
    rank: (_repository: unknown, digest: Digest) => {
      ranked.push(digest)
      return ['a' as NodeName]
    },
    failed: (attempt: Attempt) => void failed.push(attempt),
  }
  const stage: typeof blobs.stage = async (name) => {
    const opened = await blobs.stage(name)
    const close = async () => {
      await closing
      await opened.close()
    }
    return Object.assign(Object.create(opened), { close })
  }
  const fetcher = createFetcher({ source, blobs: { ...blobs, stage }, sources, events })
  const fetch = (signal = new AbortController().signal) => {
    const progress: number[] = []
    const onProgress = (bytes: number) => void progress.push(bytes)
    return { progress, done: fetcher.blob(REPO, image, DESCRIPTOR, { signal, onProgress }) }
  }
  return { fetcher, fetch, gate, asked, failed, ranked, happened, blobs }
}

describe('transfer / fetcher', () => {
  test('who is told to leaves at once; what was on its way has closed its stage when the fetcher is disposed of, and nothing begins after', async () => {
    const closing = Promise.withResolvers<void>()
    const { fetcher, fetch, blobs, asked } = setUp(true, closing.promise)
    const stop = new AbortController()
    const { done } = fetch(stop.signal)
    await settle()
    stop.abort(new Error('term is over'))
    await expect(done).rejects.toThrow('term is over')
    let isOver = false
    const over = fetcher[Symbol.asyncDispose]().then(() => {
      isOver = true
    })
    await settle()
    expect(isOver).toBe(false)
    closing.resolve()
    await over
    await expect(fetch().done).rejects.toThrow('nothing is fetched any more')
    expect(asked).toEqual(['a'])
    // What came is there for the next term.
    expect(await blobs.stages()).toMatchObject([{ size: 100 }])
  })

  test('two that want one blob share one flight, and both see its progress', async () => {
    const { fetch, gate, asked, happened } = setUp()
    const one = fetch()
    await settle()
    const two = fetch()
    gate.resolve()
    expect(await Promise.all([one.done, two.done])).toEqual([
      { kind: 'pulled', from: 'a' },
      { kind: 'pulled', from: 'a' },
    ])
    expect(asked).toEqual(['a'])
    expect(one.progress).toEqual([100, 200, 300])
    expect(two.progress).toEqual([200, 300])
    expect(happened).toEqual([
      { kind: 'blob-fetched', digest: BLOB.digest, sizeBytes: 300, from: 'a' },
    ])
  })

  test('one that leaves does not disturb the other, and hears no more', async () => {
    const { fetch, gate, asked } = setUp()
    const leaving = new AbortController()
    const one = fetch(leaving.signal)
    const two = fetch()
    await settle()
    leaving.abort(new Error('left'))
    await expect(one.done).rejects.toThrow('left')
    gate.resolve()
    expect(await two.done).toMatchObject({ kind: 'pulled' })
    expect(asked).toEqual(['a'])
    expect(one.progress).toEqual([100])
  })

  test('one that comes while an abandoned flight ends gets its own, from the byte where that one was', async () => {
    const { fetch, gate, asked } = setUp()
    const leaving = new AbortController()
    const one = fetch(leaving.signal)
    await settle()
    leaving.abort(new Error('left'))
    await expect(one.done).rejects.toThrow('left')
    const two = fetch()
    gate.resolve()
    expect(await two.done).toMatchObject({ kind: 'pulled' })
    expect(asked).toEqual(['a', 'a'])
    expect(two.progress.at(-1)).toBe(300)
  })

  test('what came meanwhile is not fetched again', async () => {
    const { fetch, asked, blobs } = setUp()
    await blobs.put(BLOB.digest, BLOB.bytes)
    expect(await fetch().done).toEqual({ kind: 'pulled', from: undefined })
    expect(asked).toEqual([])
  })

  test('holders of the image are asked for its blobs, and those that fail are reported', async () => {
    const { fetch, fetcher, failed, ranked } = setUp(false)
    expect(await fetch().done).toMatchObject({ kind: 'no-holder', askedAll: true })
    await fetcher.manifest(REPO, image, image.digest, { signal: new AbortController().signal })
    expect(ranked).toEqual([image.digest, image.digest])
    expect(failed.map(({ digest, outcome }) => [digest, outcome])).toEqual([
      [image.digest, 'absent'],
      [image.digest, 'absent'],
    ])
  })
})

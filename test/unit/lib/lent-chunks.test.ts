import { expect, test } from 'vitest'
import { lendChunks } from '../../../src/lib/lent-chunks.ts'

const chunksOf = (...texts: readonly string[]) =>
  texts.map((text) => new TextEncoder().encode(text))

async function* from(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

test('every byte comes through, in order', async () => {
  const seen: string[] = []
  for await (const chunk of lendChunks(from(chunksOf('one', 'two', '', 'three')))) {
    seen.push(new TextDecoder().decode(chunk))
  }
  expect(seen).toEqual(['one', 'two', '', 'three'])
})

test('the memory of a chunk is given back when the next one is asked for, and not before', async () => {
  const [first, second] = chunksOf('one', 'two') as [Uint8Array, Uint8Array]
  const lent = lendChunks(from([first, second]))
  await lent.next()
  expect(first.byteLength).toBe(3)
  await lent.next()
  expect(first.byteLength).toBe(0)
  expect(second.byteLength).toBe(3)
})

test('a chunk that is a part of a larger buffer is left alone', async () => {
  const whole = new TextEncoder().encode('one two')
  for await (const chunk of lendChunks(from([whole.subarray(0, 3)]))) expect(chunk.length).toBe(3)
  expect(new TextDecoder().decode(whole)).toBe('one two')
})

test('the source is told when the reader stops early', async () => {
  let isClosed = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunksOf('one', 'two')
    } finally {
      isClosed = true
    }
  }
  for await (const chunk of lendChunks(source())) {
    expect(chunk.length).toBe(3)
    break
  }
  expect(isClosed).toBe(true)
})

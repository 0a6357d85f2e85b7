import { describe, expect, it } from 'vitest'
import { abortable } from '../../../src/lib/abortable.ts'

describe('abortable', () => {
  it('passes on everything and ends with the source', async () => {
    const got: number[] = []
    for await (const one of abortable(numbers(3), new AbortController().signal)) got.push(one)
    expect(got).toEqual([0, 1, 2])
  })

  it('ends with the reason while the source is silent', async () => {
    const stop = new AbortController()
    const reading = Array.fromAsync(abortable(silent(), stop.signal))
    stop.abort(new Error('given up'))
    await expect(reading).rejects.toThrow('given up')
  })

  it('reads nothing of the source when the signal was aborted before', async () => {
    let read = 0
    async function* counting() {
      read += 1
      yield read
    }
    const stop = AbortSignal.abort(new Error('too late'))
    await expect(Array.fromAsync(abortable(counting(), stop))).rejects.toThrow('too late')
    expect(read).toBe(0)
  })

  it('who stops reading lets go of the source', async () => {
    let isLetGo = false
    async function* watched() {
      try {
        yield 1
        yield 2
      } finally {
        isLetGo = true
      }
    }
    for await (const one of abortable(watched(), new AbortController().signal)) {
      if (one === 1) break
    }
    expect(isLetGo).toBe(true)
  })

  it('an error of the source is thrown as it is', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1
      throw new Error('cut')
    }
    const reading = Array.fromAsync(abortable(broken(), new AbortController().signal))
    await expect(reading).rejects.toThrow('cut')
  })
})

async function* numbers(count: number) {
  for (let at = 0; at < count; at += 1) yield at
}

// oxlint-disable-next-line require-yield -- it never gets as far as a first value
async function* silent(): AsyncGenerator<number> {
  await new Promise(() => {})
}

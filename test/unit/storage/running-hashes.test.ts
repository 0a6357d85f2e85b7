import { describe, expect, it } from 'vitest'
import { createHasher, digestOf } from '../../../src/oci/digest.ts'
import type { StageName } from '../../../src/storage/blob-store.ts'
import { createRunningHashes } from '../../../src/storage/running-hashes.ts'

const name = (text: string) => text as StageName

describe('running hashes', () => {
  it('a hash is handed over once, and only for a stage as long as what it saw', () => {
    const hashes = createRunningHashes()
    hashes.keep(name('a'), 5, createHasher().update(Buffer.from('hello')))
    const taken = hashes.take(name('a'), 5)
    expect(taken?.digest()).toBe(digestOf(Buffer.from('hello')))
    expect(hashes.take(name('a'), 5)).toBeUndefined()
    hashes.keep(name('a'), 5, createHasher())
    expect(hashes.take(name('a'), 6)).toBeUndefined()
    expect(hashes.take(name('a'), 5)).toBeUndefined()
  })

  it('beyond a thousand the oldest is forgotten', () => {
    const hashes = createRunningHashes()
    for (let at = 0; at <= 1_000; at += 1) hashes.keep(name(`s${at}`), 1, createHasher())
    expect(hashes.take(name('s0'), 1)).toBeUndefined()
    expect(hashes.take(name('s1'), 1)).toBeDefined()
    expect(hashes.take(name('s1000'), 1)).toBeDefined()
  })
})

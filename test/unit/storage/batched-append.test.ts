import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { appendInBatches } from '../../../src/storage/batched-append.ts'
import { bytesOf } from '../../helpers/images.ts'

const MIB = 1024 * 1024

describe('batched append', () => {
  it('small chunks become few large writes, one at a time, in order', async () => {
    const bytes = bytesOf('batches', 3 * MIB + 17)
    const sizes: number[] = []
    const written: Uint8Array[] = []
    let writing = 0
    await appendInBatches(pieces(bytes, 16_384), async (batch) => {
      writing += 1
      expect(writing).toBe(1)
      await new Promise(setImmediate)
      sizes.push(batch.length)
      written.push(Uint8Array.from(batch))
      writing -= 1
    })
    expect(sizes).toEqual([MIB, MIB, MIB, 17])
    expect(Buffer.compare(Buffer.concat(written), bytes)).toBe(0)
  })

  it('the source waits while two batches are full and neither is written', async () => {
    let taken = 0
    let letGo = () => {}
    async function* endless() {
      for (;;) {
        taken += MIB
        yield new Uint8Array(MIB)
      }
    }
    let writes = 0
    const failed = appendInBatches(endless(), async () => {
      writes += 1
      await new Promise<void>((resolve) => {
        letGo = resolve
      })
      throw new Error('enough')
    })
    await turns()
    expect({ taken, writes }).toEqual({ taken: 2 * MIB, writes: 1 })
    letGo()
    await expect(failed).rejects.toThrow('enough')
  })

  it('after a failed write nothing more is written and the error is thrown', async () => {
    let writes = 0
    const appending = appendInBatches(pieces(new Uint8Array(5 * MIB), MIB), async () => {
      writes += 1
      if (writes === 2) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    })
    await expect(appending).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(writes).toBe(2)
  })

  it('whatever the chunks, the writes are the source', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 700_000 }), { maxLength: 8 }), async (sizes) => {
        const parts = sizes.map((size, at) => new Uint8Array(size).fill(at + 1))
        const written: Uint8Array[] = []
        await appendInBatches(each(parts), async (batch) => {
          await new Promise(setImmediate)
          written.push(Uint8Array.from(batch))
        })
        return Buffer.compare(Buffer.concat(written), Buffer.concat(parts)) === 0
      }),
      { numRuns: 20 },
    ))
})

async function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* each(parts: readonly Uint8Array[]) {
  yield* parts
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
}

import { describe, expect, test } from 'vitest'
import { systemRandom } from '../../../src/lib/random.ts'
import { createBlobLeases } from '../../../src/storage/blob-leases.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { digestNamed } from '../../helpers/writers.ts'

const [A, B] = [digestNamed('a'), digestNamed('b')]
const KEEP_MS = 1_000

function setUp(keepMs = KEEP_MS) {
  const clock = createFakeClock()
  return { clock, leases: createBlobLeases({ clock, random: systemRandom }, { keepMs }) }
}

describe('storage / blob-leases', () => {
  test('what anybody holds is not removed; after the last one let go, it is', async () => {
    const { leases } = setUp()
    const one = await leases.hold([A, B])
    const two = await leases.hold([A, A])
    const remove = async () => 'removed'
    expect(await leases.exclude(A, remove)).toBeUndefined()
    two[Symbol.dispose]()
    two[Symbol.dispose]()
    expect(leases.isHeld(A)).toBe(true)
    expect(await leases.exclude(A, remove)).toBeUndefined()
    one[Symbol.dispose]()
    expect(leases.isHeld(A)).toBe(false)
    expect(await leases.exclude(A, remove)).toBe('removed')
  })

  test('who comes during a removal waits for its end, also when it fails; two removals do not meet', async () => {
    const { leases } = setUp()
    const steps: string[] = []
    const end = Promise.withResolvers<void>()
    const removal = leases.exclude(A, async () => {
      await end.promise
      steps.push('removed')
      throw new Error('the disk failed')
    })
    const holding = leases.hold([A]).then((held) => {
      steps.push('held')
      return held
    })
    expect(await leases.exclude(A, async () => true)).toBeUndefined()
    await settle()
    expect(steps).toEqual([])
    end.resolve()
    await expect(removal).rejects.toThrow('the disk failed')
    using _held = await holding
    expect(steps).toEqual(['removed', 'held'])
  })

  test('a touch counts for its time at least, and for twice that at most', async () => {
    const { leases, clock } = setUp()
    for (let offset = 0; offset < 2 * KEEP_MS; offset += 300) {
      leases.touch(B)
      clock.jump(offset)
      leases.touch(A)
      clock.jump(KEEP_MS - 1)
      expect(leases.isRecent(A)).toBe(true)
      clock.jump(KEEP_MS + 1)
      expect(leases.isRecent(A)).toBe(false)
    }
  })

  test('without a time to keep, a touch counts for nothing afterwards', () => {
    const { leases } = setUp(0)
    leases.touch(A)
    expect(leases.isRecent(A)).toBe(false)
  })

  test('a watch sees who touched, held or let go since it began, and nobody from before', async () => {
    const { leases } = setUp(0)
    const held = await leases.hold([B])
    leases.touch(A)
    using watch = leases.watch()
    expect([watch.has(A), watch.has(B)]).toEqual([false, false])
    held[Symbol.dispose]()
    leases.touch(A)
    expect([watch.has(A), watch.has(B)]).toEqual([true, true])
  })
})

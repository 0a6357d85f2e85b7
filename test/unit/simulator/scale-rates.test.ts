import { describe, expect, test } from 'vitest'
import { createRates } from '../../../src/simulator/scale-rates.ts'
import { createSimClock, settle } from '../../../src/simulator/sim-clock.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

interface Asked {
  readonly to?: string
  readonly from?: string
  readonly bytes: number
  readonly afterMs?: number
  /** When the receiver gives up. */
  readonly abortMs?: number
}

const [hub, edge] = ['hub', 'edge'] as NodeName[]

/** When each transfer ended, milliseconds; `cut` for one that was given up. */
async function endsOf(
  options: { readonly linkRate: number; readonly nodeRate: number },
  transfers: readonly Asked[],
): Promise<readonly (number | 'cut')[]> {
  const startMs = Date.UTC(2026, 0, 1)
  const clock = createSimClock(startMs)
  const rates = createRates({ clock }, options)
  const run = async ({ from = hub, to = edge, bytes, afterMs = 0, abortMs }: Asked) => {
    const stop = new AbortController()
    if (abortMs !== undefined) void clock.sleep(abortMs).then(() => stop.abort())
    await clock.sleep(afterMs)
    const [a, b] = [from, to] as NodeName[]
    const { signal } = stop
    try {
      await rates.transfer(a as NodeName, b as NodeName, bytes, { signal })
      return Math.round(clock.now() - startMs)
    } catch {
      return 'cut'
    }
  }
  let ends: readonly (number | 'cut')[] | undefined
  void Promise.all(transfers.map(run)).then((all) => {
    ends = all
  })
  await settle()
  while (ends === undefined && clock.step(startMs + 3_600_000)) await settle()
  if (ends === undefined) throw new Error('a transfer did not end')
  return ends
}

describe('simulator / rates', () => {
  const FAST = 1e9

  test('a transfer alone takes its size divided by the rate of the link', async () => {
    expect(await endsOf({ linkRate: 1_000, nodeRate: FAST }, [{ bytes: 5_000 }])).toEqual([5_000])
  })

  test('transfers on one link share it evenly, and the one that is left has all of it', async () => {
    const ends = await endsOf({ linkRate: 1_000, nodeRate: FAST }, [
      { bytes: 1_000 },
      { bytes: 3_000 },
    ])
    expect(ends).toEqual([2_000, 4_000])
  })

  test('one that comes later slows down what is under way from then on', async () => {
    const ends = await endsOf({ linkRate: 1_000, nodeRate: FAST }, [
      { bytes: 2_000 },
      { bytes: 2_000, afterMs: 1_000 },
    ])
    expect(ends).toEqual([3_000, 4_000])
  })

  test('links do not share with each other, but what one node sends is shared by all of its links', async () => {
    const both = [
      { bytes: 1_000, to: 'a' },
      { bytes: 1_000, to: 'b' },
    ]
    expect(await endsOf({ linkRate: 1_000, nodeRate: FAST }, both)).toEqual([1_000, 1_000])
    expect(await endsOf({ linkRate: 1_000, nodeRate: 1_000 }, both)).toEqual([2_000, 2_000])
    const others = [
      { bytes: 1_000, from: 'a' },
      { bytes: 1_000, from: 'b' },
    ]
    expect(await endsOf({ linkRate: 1_000, nodeRate: 1_000 }, others)).toEqual([1_000, 1_000])
  })

  test('one that is given up leaves its share to the rest', async () => {
    const ends = await endsOf({ linkRate: 1_000, nodeRate: FAST }, [
      { bytes: 2_000 },
      { bytes: 9_000, abortMs: 1_000 },
    ])
    expect(ends).toEqual([2_500, 'cut'])
  })

  test('no bytes take no time', async () => {
    expect(await endsOf({ linkRate: 1, nodeRate: 1 }, [{ bytes: 0 }])).toEqual([0])
  })
})

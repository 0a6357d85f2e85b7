import { describe, expect, test } from 'vitest'
import { createTransfers } from '../../../src/peers/transfers.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

function setUp() {
  const clock = createFakeClock()
  const transfers = createTransfers({ clock })
  const one = { node: 'hub' as NodeName, repository: repo('app'), digest: digestNamed('blob') }
  return { clock, transfers, transfer: transfers.begin(one), one }
}

describe('peers / transfers', () => {
  test('the rate is that of the last seconds, not of the whole transfer', async () => {
    const { clock, transfers, transfer } = setUp()
    const rate = () => transfers.list()[0]?.bytesPerSecond ?? -1
    for (let at = 0; at < 100; at += 1) {
      await clock.advance(100)
      transfer.add(100_000)
    }
    expect(rate()).toBeCloseTo(1_000_000, -5)
    for (let at = 0; at < 100; at += 1) {
      await clock.advance(100)
      transfer.add(10_000)
    }
    expect(rate()).toBeCloseTo(100_000, -4)
  })

  test('one that stalls comes to nothing', async () => {
    const { clock, transfers, transfer } = setUp()
    await clock.advance(1_000)
    transfer.add(5_000_000)
    expect(transfers.list()[0]?.bytesPerSecond).toBe(5_000_000)
    await clock.advance(60_000)
    expect(transfers.list()[0]?.bytesPerSecond).toBe(0)
  })

  test('a clock that is set back tells no rate rather than a wrong one', async () => {
    const { clock, transfers, transfer } = setUp()
    await clock.advance(1_000)
    transfer.add(1_000)
    clock.jump(-3_600_000)
    expect(transfers.list()[0]?.bytesPerSecond).toBe(0)
  })

  test('what ended is listed no more', () => {
    const { transfers, transfer } = setUp()
    expect(transfers.list()).toHaveLength(1)
    transfer.end()
    expect(transfers.list()).toEqual([])
  })
})

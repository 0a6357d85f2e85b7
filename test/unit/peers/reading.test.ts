import { describe, expect, test } from 'vitest'
import { createReading } from '../../../src/peers/reading.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'

const EU = 'eu' as NodeName

describe('peers / reading', () => {
  test('the newest answer of a source is known, with its time', async () => {
    const clock = createFakeClock()
    const reading = createReading({ clock })
    expect(reading.of(EU)).toBeUndefined()
    reading.read(EU, { epoch: 'a', through: 3, head: 9 })
    await clock.advance(1_000)
    reading.read(EU, { epoch: 'a', through: 9, head: 9 })
    expect(reading.of(EU)).toEqual({ epoch: 'a', through: 9, head: 9, atMs: START_MS + 1_000 })
  })

  test('a reader waits until it is answered, and the end of an older wait does not end a newer one', () => {
    const reading = createReading({ clock: createFakeClock() })
    const leaveOld = reading.waits(EU, 4)
    const leaveNew = reading.waits(EU, 7)
    leaveOld()
    expect(reading.readers()).toMatchObject([{ node: EU, through: 7, isWaiting: true }])
    leaveNew()
    expect(reading.readers()).toMatchObject([{ node: EU, through: 7, isWaiting: false }])
  })
})

import { expect, test } from 'vitest'
import { createNap, napUntil } from '../../../src/lib/nap.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'

test('a nap lasts its time, unless somebody wakes the sleeper or the signal ends it', async () => {
  const clock = createFakeClock()
  const nap = createNap({ clock })
  const whole = nap.take(100)
  await clock.advance(100)
  expect(await whole).toBe(true)
  const woken = nap.take(100)
  await clock.advance(99)
  nap.wake()
  expect(await woken).toBe(false)
  const stop = new AbortController()
  const stopped = nap.take(100, { signal: stop.signal })
  stop.abort()
  expect(await stopped).toBe(false)
  expect(clock.sleeping()).toBe(0)
})

test('a wake without a sleeper is not remembered', async () => {
  const clock = createFakeClock()
  const nap = createNap({ clock })
  nap.wake()
  const first = nap.take(100)
  await clock.advance(100)
  nap.wake()
  const second = nap.take(100)
  await clock.advance(100)
  expect([await first, await second]).toEqual([true, true])
})

test('whoever waits for a promise goes on when it settles, in whatever way, or when the time is over', async () => {
  const clock = createFakeClock()
  await napUntil(Promise.resolve(), 100, { clock })
  await napUntil(Promise.reject(new Error('no')), 100, { clock })
  expect(clock.sleeping()).toBe(0)
  let isOver = false
  const waiting = napUntil(new Promise(() => {}), 100, { clock }).then(() => {
    isOver = true
  })
  await clock.advance(99)
  await settle()
  expect(isOver).toBe(false)
  await clock.advance(1)
  await waiting
})

import { expect, test } from 'vitest'
import { createFlights } from '../../../src/transfer/flights.ts'

const never = new AbortController().signal

test('callers of one name share one flight, and each gets its result', async () => {
  const flights = createFlights<number>()
  let flown = 0
  const gate = Promise.withResolvers<number>()
  const fly = () => {
    flown += 1
    return gate.promise
  }
  const results = [
    flights.join('a', fly, never),
    flights.join('a', fly, never),
    flights.join('b', fly, never),
  ]
  gate.resolve(7)
  expect(await Promise.all(results)).toEqual([7, 7, 7])
  expect(flown).toBe(2)
  expect(await flights.join('a', async () => 8, never)).toBe(8)
})

test('a caller that leaves does not end the flight of the others; the last one does', async () => {
  const flights = createFlights<number>()
  let flight: AbortSignal | undefined
  const fly = (signal: AbortSignal) => {
    flight = signal
    return new Promise<number>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
  }
  const [one, two] = [new AbortController(), new AbortController()]
  const first = flights.join('a', fly, one.signal)
  const second = flights.join('a', fly, two.signal)
  one.abort(new Error('left'))
  await expect(first).rejects.toThrow('left')
  expect(flight?.aborted).toBe(false)
  two.abort(new Error('left too'))
  await expect(second).rejects.toThrow('left too')
  expect(flight?.aborted).toBe(true)
  // Whoever comes now gets a flight of his own.
  expect(await flights.join('a', async () => 9, never)).toBe(9)
})

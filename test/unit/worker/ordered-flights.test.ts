import { describe, expect, test } from 'vitest'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createOrderedFlights } from '../../../src/worker/ordered-flights.ts'

const { signal } = new AbortController()
const nodes = (...names: readonly string[]) => names as readonly NodeName[]
const settle = () => new Promise((resolve) => setImmediate(resolve))

interface Asker {
  ask(waiting: readonly NodeName[]): Promise<string | undefined>
}

/** A node that asks `next`, then the hub: as one does that fetches on request. */
function createNode(name: string, next: () => Asker): Asker {
  const self = name as NodeName
  const flights = createOrderedFlights<string | undefined>({ self })
  return {
    ask: async (waiting) => {
      if (waiting.includes(self)) return undefined
      const fly = async () => {
        await settle()
        return (await next().ask([...waiting, self])) ?? `from the hub by ${name}`
      }
      return flights.join('image', waiting, fly, signal)
    },
  }
}

describe('worker / ordered flights', () => {
  test.each([3, 4, 7])(
    '%i nodes in a circle that are asked at the same moment all get an answer',
    async (count) => {
      const names = Array.from({ length: count }, (_, at) => `node-${(at * 5) % count}`)
      const circle: Asker[] = names.map((name, at) =>
        createNode(name, () => circle[(at + 1) % count] as Asker),
      )
      const answers = await Promise.all(circle.map((node) => node.ask([])))
      expect(answers.every((answer) => answer?.startsWith('from the hub'))).toBe(true)
    },
  )

  test('clients share a flight, and so do nodes of which each comes before the one that it is flown for', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const flights = createOrderedFlights<string>({ self: 'relay' as NodeName })
    let flown = 0
    const fly = () => {
      flown += 1
      return promise
    }
    const join = (...waiting: readonly string[]) =>
      flights.join('a', nodes(...waiting), fly, signal)
    const answers = [join(), join(), join('edge'), join('edge'), join('a')]
    expect(flown).toBe(1)
    answers.push(join('shop'), join('shop'), join('sales'))
    expect(flown).toBe(2)
    answers.push(join('shop', 'another'))
    expect(flown).toBe(3)
    resolve('it')
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['it']))
    await join('shop')
    expect(flown).toBe(4)
  })

  test('who comes while the flight is given up begins another', async () => {
    const flights = createOrderedFlights<string>({ self: 'relay' as NodeName })
    const leave = new AbortController()
    const closing = Promise.withResolvers<void>()
    const slow = async (flight: AbortSignal) => {
      await new Promise((resolve) => flight.addEventListener('abort', resolve))
      await closing.promise
      throw flight.reason as Error
    }
    const first = flights.join('a', [], slow, leave.signal)
    leave.abort(new Error('client left'))
    await expect(first).rejects.toThrow('client left')
    let isBegun = false
    const fly = async () => {
      isBegun = true
      return 'it'
    }
    const second = flights.join('a', [], fly, signal)
    await settle()
    expect(isBegun).toBe(false)
    closing.resolve()
    expect(await second).toBe('it')
  })
})

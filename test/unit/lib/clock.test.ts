import { describe, expect, test } from 'vitest'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'

describe('helpers / fake-clock', () => {
  test('sleepers wake in the order of their due times, each at its own time', async () => {
    const clock = createFakeClock(0)
    const woken: [string, number][] = []
    const sleep = async (name: string, ms: number) => {
      await clock.sleep(ms)
      woken.push([name, clock.now()])
    }
    const all = Promise.all([sleep('late', 30), sleep('early', 10), sleep('early too', 10)])
    await clock.advance(29)
    expect(woken).toEqual([
      ['early', 10],
      ['early too', 10],
    ])
    await clock.advance(1)
    await all
    expect(woken.at(-1)).toEqual(['late', 30])
  })

  test('a jump of the wall clock wakes nobody', async () => {
    const clock = createFakeClock(1_000)
    let isAwake = false
    void clock.sleep(10).then(() => {
      isAwake = true
    })
    clock.jump(-500)
    await settle()
    expect([clock.now(), isAwake, clock.sleeping()]).toEqual([500, false, 1])
    await clock.advance(10)
    expect(isAwake).toBe(true)
  })

  test('an aborted sleep is gone at once and throws the reason', async () => {
    const clock = createFakeClock()
    const stop = new AbortController()
    const sleep = clock.sleep(10, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(sleep).rejects.toThrow('enough')
    expect(clock.sleeping()).toBe(0)
    await expect(clock.sleep(1, { signal: stop.signal })).rejects.toThrow('enough')
  })
})

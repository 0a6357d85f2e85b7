import { expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Fetcher } from '../../../src/transfer/fetcher.ts'
import { createPatientFetcher } from '../../../src/worker/patient-fetcher.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { makeImage } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const HUB = 'hub' as NodeName
const { digest } = makeImage('image')

/** A hub that has the image and is gone since so long. */
function setUp(goneMs: number) {
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  let state: 'up' | 'down' = 'down'
  const sinceMs = clock.now() - goneMs
  let asked = 0
  const pull = async () => {
    asked += 1
    return state === 'up'
      ? { kind: 'pulled', from: HUB }
      : { kind: 'no-holder', reason: 'nobody is there' }
  }
  const fetcher = createPatientFetcher({
    fetcher: { manifest: pull, blob: pull } as unknown as Fetcher,
    neighbours: { list: () => [{ name: HUB, state, sinceMs }], isUp: () => state === 'up' },
    isSource: (node) => node === HUB,
    events,
    clock,
  })
  const comeBack = () => {
    state = 'up'
    events.emit({ kind: 'neighbour-up', node: HUB })
  }
  const ask = (signal = new AbortController().signal) => {
    const got: { kind?: string } = {}
    void fetcher.manifest(repo('app'), { digest }, digest, { signal }).then(({ kind }) => {
      got.kind = kind
    })
    return got
  }
  return { clock, comeBack, ask, asked: () => asked }
}

test('a source that went a moment ago is asked once more when it is back', async () => {
  const { clock, comeBack, ask, asked } = setUp(500)
  const got = ask()
  await clock.advance(1_000)
  expect(got.kind).toBeUndefined()
  comeBack()
  await clock.advance(0)
  expect(got.kind).toBe('pulled')
  expect(asked()).toBe(2)
  expect(clock.sleeping()).toBe(0)
})

test('who is gone for longer is not waited for', async () => {
  const { clock, ask, asked } = setUp(3_000)
  const got = ask()
  await clock.advance(0)
  expect(got.kind).toBe('no-holder')
  expect(asked()).toBe(1)
})

test('who does not come back is waited for no longer than a moment, or until the client leaves', async () => {
  const { clock, ask, asked } = setUp(0)
  const stop = new AbortController()
  const [got, left] = [ask(), ask(stop.signal)]
  await clock.advance(100)
  stop.abort()
  await clock.advance(0)
  expect(left.kind).toBe('no-holder')
  await clock.advance(2_900)
  expect(got.kind).toBe('no-holder')
  expect(asked()).toBe(2)
})

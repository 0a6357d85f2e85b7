import { expect, test } from 'vitest'
import { createOutbox } from '../../../src/gossip/outbox.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { identityNamed, recordBy, ref } from '../../helpers/writers.ts'

const MADE = recordBy(identityNamed('hub'))
/** Nobody looks at its signature here. */
const about = (tag: string): SignedRecord => ({
  ...MADE,
  id: tag,
  record: { ...MADE.record, reference: ref(tag) },
})

function setUp(publish: (data: Uint8Array) => Promise<void> = async () => {}) {
  const clock = createFakeClock()
  const stop = new AbortController()
  let published = 0
  const outbox = createOutbox({
    publish: async (data) => {
      await publish(data)
      published += 1
    },
    clock,
    signal: stop.signal,
  })
  return { clock, stop, outbox, published: () => published }
}

test('a thousand at once go out at once, the next ones at a thousand a second', async () => {
  const { clock, outbox, published } = setUp()
  for (let at = 0; at < 3_000; at += 1) outbox.put(about(`v${at}`))
  await clock.advance(0)
  expect(published()).toBe(1_000)
  await clock.advance(1_000)
  expect(published()).toBeGreaterThan(1_990)
  expect(published()).toBeLessThan(2_010)
  await clock.advance(1_100)
  expect([published(), outbox.dropped(), clock.sleeping()]).toEqual([3_000, 0, 0])
})

test('more than can wait is dropped and counted, and the rest still goes out', async () => {
  const { outbox, clock, published } = setUp()
  for (let at = 0; at < 12_000; at += 1) outbox.put(about(`v${at}`))
  expect(outbox.dropped()).toBeGreaterThan(900)
  expect(outbox.dropped()).toBeLessThan(2_001)
  await clock.advance(11_000)
  expect(published() + outbox.dropped()).toBe(12_000)
})

test('a record that the network does not take is dropped, and the next one is tried', async () => {
  let tries = 0
  const { outbox, published } = setUp(async () => {
    tries += 1
    if (tries === 1) throw new Error('no peers')
  })
  outbox.put(about('v1'))
  outbox.put(about('v2'))
  await settle()
  expect([published(), outbox.dropped()]).toEqual([1, 1])
})

test('a node that stops sends nothing more and waits for nothing', async () => {
  const { outbox, clock, stop, published } = setUp()
  for (let at = 0; at < 2_000; at += 1) outbox.put(about(`v${at}`))
  await clock.advance(0)
  stop.abort()
  await clock.advance(10_000)
  expect([published(), clock.sleeping()]).toEqual([1_000, 0])
})

import { expect, test } from 'vitest'
import { createTokenBucket } from '../../../src/lib/token-bucket.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

const taken = (bucket: { take(): boolean }, tries: number) =>
  Array.from({ length: tries }, () => bucket.take()).filter(Boolean).length

test('a bucket gives its burst at once, and then as many as come back', async () => {
  const clock = createFakeClock()
  const bucket = createTokenBucket({ clock }, { perSecond: 10, burst: 20 })
  expect(taken(bucket, 100)).toBe(20)
  expect(bucket.waitMs()).toBe(100)
  await clock.advance(bucket.waitMs())
  expect([taken(bucket, 2), bucket.waitMs()]).toEqual([1, 100])
  await clock.advance(1_000)
  expect(taken(bucket, 100)).toBe(10)
  await clock.advance(3_600_000)
  expect(taken(bucket, 100)).toBe(20)
})

test('a clock that is set back neither gives nor takes, and goes on from there', async () => {
  const clock = createFakeClock()
  const bucket = createTokenBucket({ clock }, { perSecond: 10, burst: 20 })
  taken(bucket, 15)
  clock.jump(-3_600_000)
  expect(taken(bucket, 100)).toBe(5)
  await clock.advance(500)
  expect(taken(bucket, 100)).toBe(5)
  clock.jump(3_600_000)
  expect(taken(bucket, 100)).toBe(20)
})

import { expect, test } from 'vitest'
import type { Tag } from '../../../src/oci/name.ts'
import { createDeleteRows } from '../../../src/storage/delete-rows.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { repo } from '../../helpers/writers.ts'

const [APP, OTHER] = [repo('app'), repo('app-2')]
const tag = (name: string) => name as Tag
const NOTHING = { confirmed: new Map(), taken: new Map() }

test('what is noted of a repository is there after a restart, and of no other one', async () => {
  const { index, backend } = await openStorage()
  const rows = createDeleteRows({ index })
  expect(await rows.of(APP)).toEqual(NOTHING)
  await rows.take(APP, new Map([[tag('v1'), 17]]))
  expect(await rows.holdUp(APP, 5)).toBe(true)

  const after = createDeleteRows({
    index: (await openStorage({ backend, epoch: 'epoch-2' })).index,
  })
  const taken = new Map([['v1', 17]])
  expect(await after.of(APP)).toEqual({ ...NOTHING, heldUpSinceMs: 5, taken })
  expect(await after.of(OTHER)).toEqual(NOTHING)
})

test('deletes that wait already are held up once', async () => {
  const { index } = await openStorage()
  const rows = createDeleteRows({ index })
  expect(await rows.holdUp(APP, 5)).toBe(true)
  expect(await rows.holdUp(APP, 9)).toBe(false)
  expect(await rows.of(APP)).toMatchObject({ heldUpSinceMs: 5 })
})

test('a person ends the wait, and what was let through is noted by record', async () => {
  const { index } = await openStorage()
  const rows = createDeleteRows({ index })
  await rows.holdUp(APP, 5)
  // More than one transaction takes.
  const ids = new Map(Array.from({ length: 1_500 }, (_, at) => [tag(`v${at}`), `id ${at}`]))
  await rows.confirm(APP, ids)
  expect(await rows.of(APP)).toEqual({ confirmed: ids, taken: new Map() })
  expect(await rows.holdUp(APP, 6)).toBe(true)

  await rows.take(APP, new Map([[tag('v1'), 17]]))
  await rows.forget(APP, { isHeldUp: true, confirmed: ids.keys(), taken: [tag('v1')] })
  expect(await rows.of(APP)).toEqual(NOTHING)
})

import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createScan } from '../../../src/node/scan.ts'
import type { JobRow } from '../../../src/storage/index-tables.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { digestNamed } from '../../helpers/writers.ts'

const ROW: JobRow = { references: [], attempts: 1, createdAtMs: 0, changedAtMs: 0 }

function setUp(considerAll: () => Promise<void>) {
  const rows = new Map([[`app@${digestNamed('old')}`, ROW]])
  const store = {
    load: () => undefined,
    save: async () => {},
    remove: async (id: string) => void rows.delete(id),
    page: async (after: string) => [...rows].filter(([id]) => id > after),
  }
  const scan = createScan({
    dispatcher: { considerAll },
    store,
    queue: { isOpen: () => false },
    planner: { plan: async (key) => ({ kind: 'refusal', key, reason: 'unknown' }) },
    logger: silentLogger,
  })
  return { scan, rows }
}

test('rows without a job go once everything was looked through, and it is told while it lasts', async () => {
  const gate = Promise.withResolvers<void>()
  const { scan, rows } = setUp(() => gate.promise)
  expect(scan.isRunning()).toBe(false)
  scan.run()
  expect(scan.isRunning()).toBe(true)
  await settle()
  expect(rows.size).toBe(1)
  gate.resolve()
  await settle()
  expect([rows.size, scan.isRunning()]).toEqual([0, false])
})

test('a scan that fails takes no rows, and is over', async () => {
  const { scan, rows } = setUp(() => Promise.reject(new Error('the index is opened anew')))
  scan.run()
  await settle()
  expect([rows.size, scan.isRunning()]).toEqual([1, false])
})

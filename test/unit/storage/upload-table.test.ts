import { expect, test } from 'vitest'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createUploadTable, newSession } from '../../../src/storage/upload-table.ts'

const session = (id: string) => newSession(id, 'team/app' as RepositoryName, 0)

test('a session that ended during its request is not kept when the request is over', () => {
  const table = createUploadTable()
  const [ended, resting] = [session('ended'), session('resting')]
  table.add(ended)
  table.take(ended)
  table.remove(ended)
  table.release(ended)
  table.add(resting)
  expect(table.makeRoom(1, 0)).toEqual([resting])
  expect([...table.all()]).toEqual([])
})

test('a session is taken by one at a time, and rests as the one that was heard of last', () => {
  const table = createUploadTable()
  const [first, second] = [session('first'), session('second')]
  table.add(first)
  table.add(second)
  expect([table.take(first), table.take(first), table.isAtWork(first)]).toEqual([true, false, true])
  table.release(first)
  expect(table.makeRoom(2, 0)).toEqual([second])
})

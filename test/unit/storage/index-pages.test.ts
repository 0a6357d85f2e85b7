import { expect, test } from 'vitest'
import { createIndexDb, type Table } from '../../../src/storage/index-db.ts'
import { pagesOf } from '../../../src/storage/index-pages.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'

const A: Table<string> = {
  name: 'a',
  encode: (text) => Buffer.from(text),
  decode: (bytes) => Buffer.from(bytes).toString(),
}

async function keysOf(rows: number, range: { after?: string; below?: string; limit: number }) {
  const index = createIndexDb(await openMemoryBackend())
  await index.transact((tx) => {
    for (let at = 0; at < rows; at += 1) tx.put(A, `key ${at}`, 'value')
  })
  const pages: string[][] = []
  for await (const page of pagesOf(index, A, range)) pages.push(page.map(([key]) => key.slice(4)))
  return pages
}

test.each([
  [0, []],
  [1, [['0']]],
  [2, [['0', '1']]],
  [3, [['0', '1'], ['2']]],
  [
    4,
    [
      ['0', '1'],
      ['2', '3'],
    ],
  ],
])('%i rows come in order, each once, and no page is empty', async (rows, pages) => {
  expect(await keysOf(rows, { limit: 2 })).toEqual(pages)
})

test('only the rows of the range come', async () => {
  const range = { after: 'key 1', below: 'key 5', limit: 2 }
  expect(await keysOf(9, range)).toEqual([['2', '3'], ['4']])
})

test('a row that comes while the pages are read is seen where it lies ahead', async () => {
  const index = createIndexDb(await openMemoryBackend())
  await index.transact((tx) => {
    for (const key of ['b', 'd']) tx.put(A, key, 'value')
  })
  const seen: string[] = []
  for await (const page of pagesOf(index, A, { limit: 1 })) {
    seen.push(...page.map(([key]) => key))
    await index.transact((tx) => {
      for (const key of ['a', 'c']) tx.put(A, key, 'value')
    })
  }
  expect(seen).toEqual(['b', 'c', 'd'])
})

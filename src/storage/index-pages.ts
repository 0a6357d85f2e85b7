/** All rows of a table, a page at a time: between two pages others have their turn, and no more than one is in memory. */
import type { IndexDb, RowRange, Table } from './index-db.ts'

/** Never an empty page. Rows that come or go meanwhile may be there or not. @throws INDEX_REOPENING */
export async function* pagesOf<V>(
  index: Pick<IndexDb, 'page'>,
  table: Table<V>,
  range: RowRange,
): AsyncGenerator<readonly (readonly [string, V])[]> {
  for (let { after = '' } = range; ; ) {
    const page = await index.page(table, { ...range, after })
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    if (page.length < range.limit) return
    after = last[0]
  }
}

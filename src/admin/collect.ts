/** `POST /api/v1/gc`: a run of the collector, or what one would take. */
import type { CollectedItem } from '../storage/collected-item.ts'
import { type Collector, count, emptyCollection } from '../storage/collector.ts'
import type { CollectionView } from './views.ts'

/** Items told in one answer; the totals count all of them. A person reads no more. */
const MAX_ITEMS = 1_000

export async function runCollector(
  collector: Pick<Collector, 'plan' | 'collect'>,
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<CollectionView> {
  const items: CollectedItem[] = []
  let leftOff = 0
  const tell = (item: CollectedItem) => {
    if (items.length < MAX_ITEMS) items.push(item)
    else leftOff += 1
  }
  const told = () => ({ isDryRun, items, leftOff })
  if (!isDryRun) {
    const collection = await collector.collect(tell)
    return { ...told(), ...collection }
  }
  const planned = emptyCollection()
  for await (const item of collector.plan()) {
    tell(item)
    count(planned, item)
  }
  return { ...told(), ...planned }
}

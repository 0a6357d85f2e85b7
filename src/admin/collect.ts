/** `POST /api/v1/gc`: a run of the collector, or what one would take. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import type { CollectedItem } from '../storage/collected-item.ts'
import { type Collector, count, emptyCollection } from '../storage/collector.ts'
import { type AdminBindings, refuseActing } from './caller.ts'
import { refused } from './failure.ts'
import type { Operation } from './operation.ts'
import { QUERY_INVALID, readQuery } from './query.ts'
import { COLLECTION, type CollectionView } from './views.ts'

export interface CollectRoutesDeps {
  readonly access: Access
  readonly collector: Pick<Collector, 'plan' | 'collect'>
}

const GC_QUERY = z.strictObject({ dryRun: z.enum(['true', 'false']).default('false') })

export const COLLECT_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/gc',
    method: 'post',
    summary: 'Takes what nothing needs any more, or says with dryRun=true what would go',
    query: GC_QUERY,
    answer: COLLECTION,
    others: {
      400: { description: QUERY_INVALID },
      409: { description: 'ADOPTION_OPEN: a directory is being adopted first' },
    },
    isActing: true,
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addCollectRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { access, collector }: CollectRoutesDeps,
): void {
  app.post('/api/v1/gc', async (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const query = readQuery(context, GC_QUERY)
    if (query instanceof Response) return query
    return context.json(await runCollector(collector, { isDryRun: query.dryRun === 'true' }))
  })
}

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
    const collection = await collector.collect({ onItem: tell })
    return { ...told(), ...collection }
  }
  const planned = emptyCollection()
  for await (const item of collector.plan()) {
    tell(item)
    count(planned, item)
  }
  return { ...told(), ...planned }
}

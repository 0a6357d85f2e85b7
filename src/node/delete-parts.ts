/** What a node does about deletes of other writers, put together. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { MeshTime } from '../peers/mesh-time.ts'
import type { DeleteRules } from '../planner/delete-rule.ts'
import { createDeleteRows } from '../storage/delete-rows.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { createDueKeys, type DueKeys } from '../worker/due-keys.ts'
import { createOriginDeletes, type OriginDeletes } from '../worker/origin-deletes.ts'
import type { ContentStore } from './content-store.ts'

export interface DeletePartsDeps {
  readonly store: Pick<ContentStore, 'ledger' | 'keeper'>
  readonly rules: DeleteRules
  readonly index: IndexDb
  readonly meshTime: Pick<MeshTime, 'now'>
  readonly hasHeardAll: () => boolean
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** What is told of them, and a person's word: `of` a repository, and of which there are any. */
export interface DeleteAccount
  extends Pick<OriginDeletes, 'of'>,
    Pick<DueKeys, 'repositories' | 'heldUp' | 'confirm'> {}

export interface DeleteParts extends AsyncDisposable {
  readonly dueKeys: DueKeys
  readonly account: DeleteAccount
}

export function createDeleteParts(deps: DeletePartsDeps): DeleteParts {
  const { store, rules, index, meshTime, events, clock, hasHeardAll } = deps
  const { ledger, keeper } = store
  const nowMs = meshTime.now
  const rows = createDeleteRows({ index })
  const deletes = createOriginDeletes({ ledger, content: keeper, rules, rows, nowMs })
  const logger = deps.logger.child({ room: 'worker' })
  const dueKeys = createDueKeys({ deletes, events, clock, nowMs, hasHeardAll, logger })
  const { repositories, heldUp, confirm } = dueKeys
  return {
    dueKeys,
    account: { of: deletes.of, repositories, heldUp, confirm },
    [Symbol.asyncDispose]: () => dueKeys[Symbol.asyncDispose](),
  }
}

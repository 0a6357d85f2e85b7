/** What a node needs to bring things when clients ask for them: only where a policy brings it something so. */
import type { OnRequest } from '../registry/request.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { membersOf } from '../storage/index-sets.ts'
import { pairKey, REFERRER } from '../storage/index-tables.ts'
import { policiesTo } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { createOnRequest, type OnRequestDeps } from '../worker/on-request.ts'

export interface LazyDeps extends Omit<OnRequestDeps, 'isLazy' | 'recordsAbout'> {
  readonly topology: Topology
  readonly self: NodeName
  readonly index: IndexDb
}

export function onRequestFor(deps: LazyDeps): (OnRequest & Disposable) | undefined {
  const policies = policiesTo(deps.topology, deps.self).filter(({ mode }) => mode === 'lazy')
  if (policies.length === 0) return undefined
  return createOnRequest({
    ...deps,
    isLazy: (repository) => policies.some((policy) => policy.matchesRepository(repository)),
    recordsAbout: (repository, subject) =>
      membersOf(deps.index, REFERRER, pairKey(repository, subject)),
    logger: deps.logger.child({ room: 'worker' }),
  })
}

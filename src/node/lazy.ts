/** What a node needs to bring things when clients ask for them: only where a policy brings it something so. */
import type { OnRequest } from '../registry/request.ts'
import { policiesTo } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { createOnRequest, type OnRequestDeps } from '../worker/on-request.ts'

export interface LazyDeps extends OnRequestDeps {
  readonly topology: Topology
  readonly self: NodeName
}

export function onRequestFor(deps: LazyDeps): (OnRequest & Disposable) | undefined {
  const isLazy = policiesTo(deps.topology, deps.self).some(({ mode }) => mode === 'lazy')
  if (!isLazy) return undefined
  return createOnRequest({ ...deps, logger: deps.logger.child({ room: 'worker' }) })
}

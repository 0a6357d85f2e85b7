/** How a node accounts for itself to people: convergence and why. Built over the parts, deciding nothing. */
import type { MeshRoutesDeps } from '../admin/mesh-routes.ts'
import type { NodeName } from '../topology/topology.ts'
import { type ConvergenceDeps, createConvergence } from './convergence.ts'
import { createLag, type LagDeps } from './lag.ts'
import { createWhy, whyElsewhere } from './why.ts'
import type { WhyDeps } from './why-found.ts'

export type MeshAccountDeps = Omit<ConvergenceDeps, 'lag'> & Omit<LagDeps, 'naming'> & WhyDeps

export type MeshAccount = Pick<MeshRoutesDeps, 'self' | 'convergence' | 'why'>

export function createMeshAccount(deps: MeshAccountDeps): MeshAccount {
  const { self } = deps
  const lag = createLag({ ...deps, naming: deps.insight.naming })
  const convergence = createConvergence({ ...deps, lag })
  const why = createWhy(deps)
  return {
    self,
    convergence,
    why: (key, node: NodeName) => (node === self ? why(key) : whyElsewhere(deps, key, node)),
  }
}

/** The routes that explain the mesh: how far this node has converged, why it has something or not, and metrics. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import { parseReference, parseRepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type AdminBindings, refuseReading } from './caller.ts'
import { CONVERGENCE, type ConvergenceView } from './convergence-view.ts'
import { failure, refused } from './failure.ts'
import type { Operation } from './operation.ts'
import { WHY, type WhyView } from './why-view.ts'

export interface MeshRoutesDeps {
  readonly access: Access
  readonly self: NodeName
  readonly topology: Topology
  readonly convergence: () => Promise<ConvergenceView>
  /** About this node; or, from the topology alone, about another one. */
  readonly why: (key: RecordKey, node: NodeName) => Promise<WhyView>
  /** In the text format of Prometheus. */
  readonly metrics: () => Promise<string>
}

export const MESH_OPERATIONS: readonly Operation[] = [
  {
    path: '/metrics',
    method: 'get',
    summary: 'Metrics in the text format of Prometheus',
    answer: 'text/plain',
  },
  {
    path: '/api/v1/convergence',
    method: 'get',
    summary: 'What the node has still to do, its lag, and how far it and its readers have read',
    answer: CONVERGENCE,
  },
  {
    path: '/api/v1/why',
    method: 'get',
    summary: 'Why an image is here or is not; with node, what the topology says of another node',
    query: z.object({
      repository: z.string(),
      reference: z.string().meta({ description: 'A tag or a digest' }),
      node: z.string().optional(),
    }),
    answer: WHY,
    others: {
      400: { description: 'NAME_INVALID: no repository, tag or digest' },
      404: { description: 'NODE_UNKNOWN: it is not in the topology' },
    },
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addMeshRoutes(app: Hono<{ Bindings: AdminBindings }>, deps: MeshRoutesDeps): void {
  const { access, self, topology } = deps

  app.get('/metrics', async (context) => {
    const refusal = refuseReading(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const type = 'text/plain; version=0.0.4; charset=utf-8'
    return context.body(await deps.metrics(), 200, { 'content-type': type })
  })

  app.get('/api/v1/convergence', async (context) => context.json(await deps.convergence()))

  app.get('/api/v1/why', async (context) => {
    const { repository = '', reference = '', node = self } = context.req.query()
    const key = {
      repository: parseRepositoryName(repository),
      reference: parseReference(reference),
    }
    if (key.repository === undefined || key.reference === undefined) {
      const message = 'expected ?repository=NAME&reference=TAG or DIGEST'
      return failure(context, 400, 'NAME_INVALID', message)
    }
    const about = topology.nodes.get(node as NodeName)?.name
    if (about === undefined) {
      const message = `no node ${node.slice(0, 64)} in the topology; there are ${[...topology.nodes.keys()].join(', ')}`
      return failure(context, 404, 'NODE_UNKNOWN', message)
    }
    return context.json(await deps.why(key as RecordKey, about))
  })
}

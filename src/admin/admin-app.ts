/** The administration API and the health of the node. Reading asks the same access as the registry; acting needs loopback. */
import { Hono } from 'hono'
import { codeOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { type AdminBindings, refuseReading } from './caller.ts'
import { addCollectRoutes, type CollectRoutesDeps } from './collect.ts'
import { addDeleteRoutes, type DeleteRoutesDeps } from './delete-routes.ts'
import { failure, refused } from './failure.ts'
import { addJobRoutes, type JobRoutesDeps } from './job-routes.ts'
import { addMeshRoutes, type MeshRoutesDeps } from './mesh-routes.ts'
import { addHealthRoutes, addNodeRoutes, type NodeRoutesDeps } from './node-routes.ts'
import { openApiDocument } from './openapi.ts'
import { addPauseRoutes, type PauseRoutesDeps } from './pause-routes.ts'
import { addPullRoutes, type PullRoutesDeps } from './pull-routes.ts'
import { addRecordsRoutes, type RecordsRoutesDeps } from './records-routes.ts'
import { addTopologyRoutes, type TopologyRoutesDeps } from './topology-routes.ts'

/** Each group of routes stands in a file of its own, with its piece of the OpenAPI document. */
export interface AdminDeps
  extends NodeRoutesDeps,
    JobRoutesDeps,
    PauseRoutesDeps,
    RecordsRoutesDeps,
    MeshRoutesDeps,
    TopologyRoutesDeps,
    PullRoutesDeps,
    DeleteRoutesDeps,
    CollectRoutesDeps {
  readonly queue: NodeRoutesDeps['queue'] & JobRoutesDeps['queue']
  readonly logger: Logger
}

export function createAdminApp(deps: AdminDeps): Hono<{ Bindings: AdminBindings }> {
  const { access, status } = deps
  const app = new Hono<{ Bindings: AdminBindings }>()

  addHealthRoutes(app, deps)
  app.use('/api/v1/*', async (context, next) => {
    const refusal = refuseReading(access, context)
    return refusal === undefined ? next() : refused(context, refusal)
  })
  addNodeRoutes(app, deps)
  addJobRoutes(app, deps)
  addPauseRoutes(app, deps)
  addRecordsRoutes(app, deps)
  addMeshRoutes(app, deps)
  addTopologyRoutes(app, deps)
  addPullRoutes(app, deps)
  addDeleteRoutes(app, deps)
  addCollectRoutes(app, deps)
  app.get('/api/v1/openapi.json', (context) => context.json(openApiDocument(status().version)))

  app.onError((err, context) => {
    const code = codeOf(err)
    // No fault: it says what has to come first.
    if (code === 'ADOPTION_OPEN') return failure(context, 409, code, err.message)
    deps.logger.error({ err }, 'administration request failed')
    // The disk's fault, which the node gets over by itself.
    if (code === 'INDEX_WRITE_FAILED' || code === 'INDEX_REOPENING')
      return failure(context, 503, code, err.message)
    return failure(context, 500, 'INTERNAL', 'the request failed; the log of the node says why')
  })
  return app
}

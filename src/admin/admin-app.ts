/** The administration API and the health of the node. Reading asks the same access as the registry; acting needs loopback. */
import { Hono } from 'hono'
import type { Access } from '../access/access.ts'
import type { EventBus } from '../events/event-bus.ts'
import type { JobView } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import { codeOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { parseReference, parseRepositoryName, type RepositoryName } from '../oci/name.ts'
import type { Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Collector } from '../storage/collector.ts'
import type { Ledger } from '../storage/ledger.ts'
import { type AdminBindings, type AdminContext, refuseActing, refuseReading } from './caller.ts'
import { runCollector } from './collect.ts'
import { streamEvents } from './event-stream.ts'
import { failure, refused } from './failure.ts'
import { addMeshRoutes, type MeshRoutesDeps } from './mesh-routes.ts'
import { openApiDocument } from './openapi.ts'
import { type RecordsViewDeps, viewBehind, viewRecords } from './records-view.ts'
import { JOB_STATES, type RecordsPage, type RecordsView, type StatusView } from './views.ts'

export interface AdminDeps extends MeshRoutesDeps, RecordsViewDeps {
  readonly access: Access
  readonly status: () => StatusView
  readonly queue: Pick<JobQueue, 'list' | 'get' | 'hold' | 'retry'>
  readonly ledger: Pick<Ledger, 'entry' | 'entriesOf'>
  readonly planner: Planner
  readonly collector: Pick<Collector, 'plan' | 'collect'>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
  /** Aborted when the node begins to stop: live streams end then. */
  readonly stopping?: AbortSignal
}

/** Rows in one answer by default and at most. */
const PAGE = { default: 100, max: 1_000 }
/** Live streams at once: consoles and dashboards; each holds a queue and a socket. */
const MAX_STREAMS = 64

export function createAdminApp(deps: AdminDeps): Hono<{ Bindings: AdminBindings }> {
  const { access, status, queue, ledger, topology } = deps
  const app = new Hono<{ Bindings: AdminBindings }>()

  app.get('/healthz', (context) => context.json({ status: 'alive' }))
  app.get('/readyz', (context) => {
    const { isReady, time } = status()
    // It serves what it has: only who pushes has to go elsewhere.
    const writing = time.refusal === undefined ? {} : { writing: time.refusal }
    if (isReady) return context.json({ status: 'ready', ...writing })
    return context.json(
      { status: 'starting', waitingFor: 'the mesh to be joined, or a directory to be adopted' },
      503,
    )
  })

  app.use('/api/v1/*', async (context, next) => {
    const refusal = refuseReading(access, context)
    return refusal === undefined ? next() : refused(context, refusal)
  })
  addMeshRoutes(app, deps)
  app.get('/api/v1/status', (context) => context.json(status()))
  app.get('/api/v1/openapi.json', (context) => context.json(openApiDocument(status().version)))
  let streams = 0
  app.get('/api/v1/events', (context) => {
    if (streams === MAX_STREAMS) {
      const message = `${MAX_STREAMS} live streams are open; close one and try again`
      return failure(context, 503, 'TOO_MANY_STREAMS', message)
    }
    streams += 1
    const snapshot = () => ({ status: status(), jobs: queue.list() })
    const onEnd = () => {
      streams -= 1
    }
    return streamEvents({ ...deps, snapshot, onEnd })
  })

  app.get('/api/v1/jobs', (context) => {
    const { state, repository, after = '' } = context.req.query()
    if (state !== undefined && !JOB_STATES.some((known) => known === state)) {
      const message = `state: expected one of ${JOB_STATES.join(', ')}`
      return failure(context, 400, 'STATE_INVALID', message)
    }
    const limit = limitOf(context)
    const all = newestOfEach(queue.list())
      .filter((job) => job.id > after)
      .filter((job) => state === undefined || job.state === state)
      .filter((job) => repository === undefined || job.repository === repository)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    const jobs = all.slice(0, limit)
    const last = jobs.at(-1)
    return context.json(
      all.length > limit && last !== undefined ? { jobs, next: last.id } : { jobs },
    )
  })
  app.get('/api/v1/jobs/:id', (context) => {
    const job = queue.get(context.req.param('id'))
    return job === undefined ? noJob(context) : context.json(job)
  })
  app.post('/api/v1/jobs/:id/:action{cancel|retry}', (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const { id, action } = context.req.param()
    const job = queue.get(id)
    if (job === undefined) return noJob(context)
    const isDone = action === 'cancel' ? queue.hold(id) : queue.retry(id)
    if (isDone) return context.json(queue.get(id) ?? job)
    return failure(
      context,
      409,
      'NO_SUCH_MOVE',
      `a job that is ${job.state} has nothing to ${action}`,
    )
  })

  app.get('/api/v1/records', async (context) => {
    const { repository = '', reference } = context.req.query()
    const name = parseRepositoryName(repository)
    if (name === undefined) {
      return failure(
        context,
        400,
        'NAME_INVALID',
        'expected ?repository=NAME, and &reference=TAG or DIGEST',
      )
    }
    if (reference === undefined) return context.json(await pageOf(name, context))
    const parsed = parseReference(reference)
    if (parsed === undefined)
      return failure(context, 400, 'NAME_INVALID', 'expected a tag or a digest')
    const entry = ledger.entry({ repository: name, reference: parsed })
    if (entry === undefined) return context.json({ records: [] })
    const neighbours = viewBehind(entry, deps, status().neighbours)
    return context.json({ records: [{ ...(await viewRecords(entry, deps)), neighbours }] })
  })

  app.post('/api/v1/gc', async (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const { dryRun = 'false' } = context.req.query()
    if (dryRun !== 'true' && dryRun !== 'false') {
      return failure(context, 400, 'DRY_RUN_INVALID', 'expected ?dryRun=true or ?dryRun=false')
    }
    return context.json(await runCollector(deps.collector, { isDryRun: dryRun === 'true' }))
  })

  async function pageOf(repository: RepositoryName, context: AdminContext): Promise<RecordsPage> {
    const limit = limitOf(context)
    const after = context.req.query('after') ?? ''
    // One more than asked for: whether there is another page.
    const entries = await ledger.entriesOf(repository, { after, limit: limit + 1 })
    const records: RecordsView[] = []
    for (const entry of entries.slice(0, limit)) records.push(await viewRecords(entry, deps))
    const last = records.at(-1)
    return entries.length > limit && last !== undefined
      ? { records, next: last.reference }
      : { records }
  }

  app.onError((err, context) => {
    // No fault: it says what has to come first.
    if (codeOf(err) === 'ADOPTION_OPEN') return failure(context, 409, 'ADOPTION_OPEN', err.message)
    deps.logger.error({ err }, 'administration request failed')
    // The disk's fault, which the node gets over by itself.
    const code = codeOf(err)
    if (code === 'INDEX_WRITE_FAILED' || code === 'INDEX_REOPENING')
      return failure(context, 503, code, err.message)
    return failure(context, 500, 'INTERNAL', 'the request failed; the log of the node says why')
  })
  return app

  function noJob(context: AdminContext): Response {
    const message = `no such job; ids are REPOSITORY@DIGEST, as \`entrepot jobs\` lists them (realm ${topology.realm})`
    return failure(context, 404, 'JOB_UNKNOWN', message)
  }
}

/** A job that ended and was made anew is listed once, as it is now. */
function newestOfEach(jobs: readonly JobView[]): JobView[] {
  const byId = new Map<string, JobView>()
  for (const job of jobs) {
    const other = byId.get(job.id)
    if (other === undefined || job.createdAtMs > other.createdAtMs) byId.set(job.id, job)
  }
  return [...byId.values()]
}

function limitOf(context: AdminContext): number {
  const limit = Number(context.req.query('limit') ?? PAGE.default)
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, PAGE.max) : PAGE.default
}

/** The administration API and the health of the node. Reading asks the same access as the registry; acting needs loopback. */
import type { IncomingMessage } from 'node:http'
import { type Context, Hono } from 'hono'
import type { Access, Caller } from '../access/access.ts'
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { parseReference, parseRepositoryName } from '../oci/name.ts'
import type { Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { Topology } from '../topology/topology.ts'
import { streamEvents } from './event-stream.ts'
import { openApiDocument } from './openapi.ts'
import { viewRecords } from './records-view.ts'
import type { RecordsView, StatusView } from './views.ts'

export interface AdminDeps {
  readonly access: Access
  readonly status: () => StatusView
  readonly queue: Pick<JobQueue, 'list' | 'get' | 'hold' | 'retry'>
  readonly ledger: Ledger
  readonly planner: Planner
  readonly topology: Topology
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

interface Bindings {
  readonly incoming?: IncomingMessage
}
type AdminContext = Context<{ Bindings: Bindings }>

/** Rows in one answer by default and at most. */
const PAGE = { default: 100, max: 1_000 }

export function createAdminApp(deps: AdminDeps): Hono<{ Bindings: Bindings }> {
  const { access, status, queue, ledger, topology } = deps
  const app = new Hono<{ Bindings: Bindings }>()

  app.get('/healthz', (context) => context.json({ status: 'alive' }))
  app.get('/readyz', (context) => {
    if (status().isReady) return context.json({ status: 'ready' })
    return context.json(
      { status: 'starting', waitingFor: 'the first look through the ledger' },
      503,
    )
  })

  app.use('/api/v1/*', async (context, next) => {
    const caller = callerOf(access, context)
    // A person on the machine itself may always look: without accounts there is no other way in.
    const mayLook = caller?.kind === 'anonymous' && caller.isLoopback
    if (!mayLook && (caller === undefined || access.mayList(caller).kind !== 'allowed')) {
      return failure(
        context,
        401,
        'UNAUTHORIZED',
        'this node shows nothing to clients without an account',
      )
    }
    return next()
  })
  app.get('/api/v1/status', (context) => context.json(status()))
  app.get('/api/v1/openapi.json', (context) => context.json(openApiDocument(status().version)))
  app.get('/api/v1/events', (context) => {
    const snapshot = () => ({ status: status(), jobs: queue.list() })
    return streamEvents({ ...deps, snapshot }, context)
  })

  app.get('/api/v1/jobs', (context) => {
    const { state, repository } = context.req.query()
    const jobs = queue
      .list()
      .filter((job) => state === undefined || job.state === state)
      .filter((job) => repository === undefined || job.repository === repository)
    return context.json({ jobs: jobs.slice(0, limitOf(context)) })
  })
  app.get('/api/v1/jobs/:id', (context) => {
    const job = queue.get(context.req.param('id'))
    return job === undefined ? noJob(context) : context.json(job)
  })
  app.post('/api/v1/jobs/:id/:action{cancel|retry}', (context) => {
    const caller = callerOf(access, context)
    const verdict = caller === undefined ? undefined : access.mayAdminister(caller)
    if (verdict?.kind !== 'allowed') {
      const reason = verdict?.kind === 'denied' ? verdict.reason : 'credentials are not known here'
      return failure(context, 403, 'DENIED', reason)
    }
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
    if (reference === undefined)
      return context.json({ records: await ofRepository(name, limitOf(context)) })
    const parsed = parseReference(reference)
    if (parsed === undefined)
      return failure(context, 400, 'NAME_INVALID', 'expected a tag or a digest')
    const entry = ledger.entry({ repository: name, reference: parsed })
    const records = entry === undefined ? [] : [await viewRecords(entry, deps)]
    return context.json({ records })
  })

  async function ofRepository(repository: string, limit: number): Promise<RecordsView[]> {
    const records: RecordsView[] = []
    for (let after = 0; ; ) {
      const page = await ledger.page(after, PAGE.max)
      for (const entry of page.entries) {
        if (entry.key.repository === repository) records.push(await viewRecords(entry, deps))
        if (records.length === limit) return records
      }
      if (page.through === after) return records
      after = page.through
    }
  }

  app.onError((err, context) => {
    deps.logger.error({ err }, 'administration request failed')
    return failure(context, 500, 'INTERNAL', 'the request failed; the log of the node says why')
  })
  return app

  function noJob(context: AdminContext): Response {
    const message = `no such job; ids are REPOSITORY@DIGEST, as \`entrepot jobs\` lists them (realm ${topology.realm})`
    return failure(context, 404, 'JOB_UNKNOWN', message)
  }
}

function callerOf(access: Access, { env, req }: AdminContext): Caller | undefined {
  const incoming = env?.incoming
  const address = incoming === undefined ? '127.0.0.1' : (incoming.socket.remoteAddress ?? '')
  return access.identify({ authorization: req.header('authorization'), address })
}

function limitOf(context: AdminContext): number {
  const limit = Number(context.req.query('limit') ?? PAGE.default)
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, PAGE.max) : PAGE.default
}

function failure(
  context: Context,
  status: 400 | 401 | 403 | 404 | 409 | 500,
  code: string,
  message: string,
): Response {
  return context.json({ error: { code, message } }, status)
}

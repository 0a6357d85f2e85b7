/** The routes about the node itself: its health, its status, and what happens in it, live. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { JobQueue } from '../queue/job-queue.ts'
import type { AdminBindings } from './caller.ts'
import { failure } from './failure.ts'
import { type LiveStreams, MAX_STREAMS } from './live-streams.ts'
import type { Operation } from './operation.ts'
import { STATUS, type StatusView } from './views.ts'

export interface NodeRoutesDeps {
  readonly status: () => StatusView
  readonly queue: Pick<JobQueue, 'list'>
  readonly streams: LiveStreams
}

const READY = z.object({
  status: z.literal('ready'),
  /** Why pushes are refused, though reads are answered. */
  writing: z.string().optional(),
})
const STARTING = z.object({ status: z.literal('starting'), waitingFor: z.string() })

export const HEALTH_OPERATIONS: readonly Operation[] = [
  {
    path: '/healthz',
    method: 'get',
    summary: 'Whether the process lives',
    answer: z.object({ status: z.literal('alive') }),
    isOpen: true,
  },
  {
    path: '/readyz',
    method: 'get',
    summary: 'Whether the node serves and has joined the mesh',
    answer: READY,
    others: { 503: { description: 'Not yet', schema: STARTING } },
    isOpen: true,
  },
]

export const NODE_OPERATIONS: readonly Operation[] = [
  { path: '/api/v1/status', method: 'get', summary: 'The node and its neighbours', answer: STATUS },
  {
    path: '/api/v1/events',
    method: 'get',
    summary:
      'Server-sent events: `snapshot` (status, and jobs that have not ended), then every event as it happens, or what followed the event of the header Last-Event-ID; `cut` where the reader was too slow',
    answer: 'text/event-stream',
    others: { 503: { description: `TOO_MANY_STREAMS: ${MAX_STREAMS} are open` } },
  },
]

export function addHealthRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { status }: Pick<NodeRoutesDeps, 'status'>,
): void {
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
}

/** To be called after the routes of `/api/v1` are guarded. */
export function addNodeRoutes(app: Hono<{ Bindings: AdminBindings }>, deps: NodeRoutesDeps): void {
  const { status, queue, streams } = deps
  app.get('/api/v1/status', (context) => context.json(status()))
  app.get('/api/v1/events', (context) => {
    const snapshot = () => ({ status: status(), jobs: queue.list() })
    const stream = streams.open(snapshot, context.req.header('last-event-id'))
    if (stream !== undefined) return stream
    const message = `${MAX_STREAMS} live streams are open; close one and try again`
    return failure(context, 503, 'TOO_MANY_STREAMS', message)
  })
}

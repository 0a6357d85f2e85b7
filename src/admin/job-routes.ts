/** The routes about jobs: which there are and were, one of them whole, and a person's word about it. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import type { JobView } from '../events/mesh-event.ts'
import type { EndedJob } from '../queue/job-history.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { type AdminBindings, type AdminContext, refuseActing } from './caller.ts'
import { failure, refused } from './failure.ts'
import { JOB_FILTER, jobMatcher } from './job-filter.ts'
import {
  HISTORY_PAGE,
  type HistoryPage,
  JOB,
  JOB_DETAIL,
  JOBS_PAGE,
  type JobDetail,
  type JobsPage,
} from './job-view.ts'
import type { Operation } from './operation.ts'
import { PAGE_QUERY, page, QUERY_INVALID, readQuery } from './query.ts'

export interface JobRoutesDeps {
  readonly access: Access
  readonly queue: Pick<JobQueue, 'page' | 'get' | 'hold' | 'retry' | 'resume' | 'history' | 'notes'>
}

const ACTIONS = ['cancel', 'pause', 'resume', 'retry'] as const
type Action = (typeof ACTIONS)[number]

const SUMMARIES: Readonly<Record<Action, string>> = {
  cancel: 'Holds a job until a retry or newer news',
  pause: 'Holds a job until it is resumed, or newer news; what came of it stays',
  resume: 'Lets a job go on that was paused',
  retry: 'Runs a held or waiting job now',
}

const JOBS_QUERY = z.strictObject({ ...JOB_FILTER, ...PAGE_QUERY })
const HISTORY_QUERY = z.strictObject({
  ...JOB_FILTER,
  ...PAGE_QUERY,
  last: z
    .string()
    .regex(/^\d{0,15}$/, 'expected the `next` of the page before')
    .default(''),
})

const UNKNOWN = { 404: { description: 'JOB_UNKNOWN: there is none, and none ended lately' } }

export const JOB_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/jobs',
    method: 'get',
    summary: 'Jobs by id, the last that ended among them',
    query: JOBS_QUERY,
    answer: JOBS_PAGE,
    others: { 400: { description: QUERY_INVALID } },
  },
  {
    path: '/api/v1/jobs/{id}',
    method: 'get',
    summary: 'One job: whom it asked, and its last lines',
    answer: JOB_DETAIL,
    others: UNKNOWN,
  },
  ...ACTIONS.map(
    (action): Operation => ({
      path: `/api/v1/jobs/{id}/${action}`,
      method: 'post',
      summary: SUMMARIES[action],
      answer: JOB,
      others: {
        ...UNKNOWN,
        409: { description: `NO_SUCH_MOVE: its state leaves nothing to ${action}` },
      },
      isActing: true,
    }),
  ),
  {
    path: '/api/v1/history',
    method: 'get',
    summary: 'Jobs that ended, the newest first, each with its outcome and cause',
    query: HISTORY_QUERY,
    answer: HISTORY_PAGE,
    others: { 400: { description: QUERY_INVALID } },
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addJobRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { access, queue }: JobRoutesDeps,
): void {
  app.get('/api/v1/jobs', (context) => {
    const query = readQuery(context, JOBS_QUERY)
    if (query instanceof Response) return query
    // One more than asked for: whether there is another page.
    const ask = { after: query.last, fits: jobMatcher(query), limit: query.n + 1 }
    const all = queue.page(ask)
    const jobs = all.slice(0, query.n)
    const next = all.length > query.n ? jobs.at(-1)?.id : undefined
    return page(context, { jobs } satisfies JobsPage, next)
  })

  app.get('/api/v1/jobs/:id', (context) => {
    const id = context.req.param('id')
    const job = queue.get(id)
    if (job === undefined) return noJob(context)
    return context.json({ ...job, ...queue.notes.of(id) } satisfies JobDetail)
  })

  const moves: Readonly<Record<Action, (id: string) => boolean>> = {
    cancel: (id) => queue.hold(id),
    pause: (id) => queue.hold(id, 'pause'),
    resume: (id) => queue.resume(id),
    retry: (id) => queue.retry(id),
  }
  for (const action of ACTIONS) {
    app.post(`/api/v1/jobs/:id/${action}`, (context) => {
      const refusal = refuseActing(access, context)
      if (refusal !== undefined) return refused(context, refusal)
      const id = context.req.param('id')
      const job = queue.get(id)
      if (job === undefined) return noJob(context)
      if (moves[action](id)) return context.json(queue.get(id) ?? job)
      return failure(context, 409, 'NO_SUCH_MOVE', noMove(job, action))
    })
  }

  app.get('/api/v1/history', (context) => {
    const query = readQuery(context, HISTORY_QUERY)
    if (query instanceof Response) return query
    const fits = jobMatcher(query)
    const below = query.last === '' ? Number.POSITIVE_INFINITY : Number(query.last)
    const ended: EndedJob[] = []
    let next: number | undefined
    for (const one of queue.history.newest()) {
      if (one.number >= below || !fits(one.job)) continue
      if (ended.length === query.n) {
        next = ended.at(-1)?.number
        break
      }
      ended.push(one)
    }
    return page(context, { ended } satisfies HistoryPage, next?.toString())
  })
}

function noJob(context: AdminContext): Response {
  const message = 'no such job; ids are REPOSITORY@DIGEST, as `entrepot jobs` lists them'
  return failure(context, 404, 'JOB_UNKNOWN', message)
}

function noMove({ state, pausedBy }: JobView, action: Action): string {
  const nothing = `a job that is ${state} has nothing to ${action}`
  if (state === 'held' && action !== 'retry') return `${nothing}: it was cancelled, retry it`
  if (pausedBy === undefined || state === 'held') return nothing
  return `${nothing}; it waits for the end of a pause (${pausedBy}): resume that`
}

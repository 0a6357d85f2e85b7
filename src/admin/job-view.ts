/** The shapes of jobs and of what is paused. */
import { z } from 'zod'
import type { AskedNode, EndCause, JobState, Pause, WaitCause } from '../events/mesh-event.ts'

export const JOB_STATES = [
  'queued',
  'running',
  'waiting',
  'held',
  'done',
  'superseded',
  'gone',
] as const satisfies readonly JobState[]

export const CAUSES = [
  'no-holder',
  'failed',
  'local-fault',
  'window',
  'newer-news',
  'not-wanted',
] as const satisfies readonly (WaitCause | EndCause)[]

export const JOB = z.object({
  id: z.string(),
  repository: z.string(),
  digest: z.string(),
  references: z.array(z.string()).readonly(),
  state: z.enum(JOB_STATES),
  phase: z.enum(['manifest', 'missing', 'blobs', 'commit']).optional(),
  bytesDone: z.int(),
  bytesTotal: z.int().optional(),
  attempts: z.int(),
  reason: z.string().optional(),
  cause: z.enum(CAUSES).optional(),
  nextTryAtMs: z.number().optional(),
  createdAtMs: z.number(),
  changedAtMs: z.number(),
  /** Higher goes first. */
  priority: z.number(),
  /** That ask for it; none where the node holds it because it may write it. */
  policies: z.array(z.string()).readonly(),
  platforms: z.union([z.literal('all'), z.array(z.string()).readonly()]),
  /** When its bytes may come; absent: at any time. */
  windows: z.array(z.string()).readonly().optional(),
  /** What a person paused so that it does not run: `job`, `all` or `policy NAME`. */
  pausedBy: z.string().optional(),
  /** Of a running one: nodes that bytes come from now. */
  from: z.array(z.string()).readonly().optional(),
  /** Of a running one, over the last seconds. */
  bytesPerSecond: z.int().optional(),
})

const OUTCOMES = [
  'gave',
  'absent',
  'unreachable',
  'corrupt',
  'closed',
] as const satisfies readonly AskedNode['outcome'][]

/** One job alone. */
export const JOB_DETAIL = JOB.extend({
  /** Whom it asked, and what came of it: the last 20. */
  asked: z
    .array(
      z.object({
        atMs: z.number(),
        node: z.string(),
        digest: z.string(),
        outcome: z.enum(OUTCOMES),
        reason: z.string().optional(),
      }),
    )
    .readonly(),
  /** Its last 50 lines. */
  log: z.array(z.object({ atMs: z.number(), text: z.string() })).readonly(),
})

/** Pass it as `last` for the next page; absent at the end. */
const NEXT = z.string().optional()

export const JOBS_PAGE = z.object({ jobs: z.array(JOB).readonly(), next: NEXT })

/** The newest first. `number` counts the jobs that ended at this node. */
export const HISTORY_PAGE = z.object({
  ended: z.array(z.object({ number: z.int(), job: JOB })).readonly(),
  next: NEXT,
})

const SCOPES = ['all', 'link', 'policy'] as const satisfies readonly Pause['scope'][]

export const PAUSE = z.object({
  scope: z.enum(SCOPES),
  /** Of the neighbour or the policy. */
  name: z.string().optional(),
  sinceMs: z.number(),
})

export const PAUSES = z.object({ pauses: z.array(PAUSE).readonly() })

export type JobDetail = z.infer<typeof JOB_DETAIL>
export type JobsPage = z.infer<typeof JOBS_PAGE>
export type HistoryPage = z.infer<typeof HISTORY_PAGE>
export type PausesView = z.infer<typeof PAUSES>

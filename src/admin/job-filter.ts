/** Which jobs are asked for. */
import { z } from 'zod'
import type { JobView } from '../events/mesh-event.ts'
import { anyGlob, repositoryGlobProblem } from '../topology/glob.ts'
import { CAUSES, JOB_STATES } from './job-view.ts'

/** Parameters of a list of jobs; all that are given must fit. */
export const JOB_FILTER = {
  state: z.enum(JOB_STATES).optional(),
  repository: z
    .string()
    .max(255)
    .refine((text) => repositoryGlobProblem(text.replace(/\/$/, '')) === undefined, {
      error: 'expected a repository, or a glob such as team/**',
    })
    .optional()
    .meta({ description: 'A name, also of what is below it (team/); or a glob (team/**)' }),
  reference: z.string().max(255).optional().meta({ description: 'A tag or digest that waits' }),
  digest: z
    .string()
    .max(255)
    .optional()
    .meta({ description: 'Of the manifest, or how it begins (sha256:ab12)' }),
  from: z.string().max(255).optional().meta({ description: 'A node that bytes come from now' }),
  policy: z.string().max(255).optional().meta({ description: 'A policy that asks for it' }),
  cause: z.enum(CAUSES).optional(),
  paused: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Whether a pause keeps it from running' }),
}

export type JobFilter = z.output<z.ZodObject<typeof JOB_FILTER>>

export function jobMatcher(filter: JobFilter): (job: JobView) => boolean {
  const { state, repository, reference, digest, from, policy, cause, paused } = filter
  const isRepository = repository === undefined ? undefined : repositoryMatcher(repository)
  return (job) =>
    (state === undefined || job.state === state) &&
    (isRepository === undefined || isRepository(job.repository)) &&
    (reference === undefined || job.references.includes(reference)) &&
    (digest === undefined || job.digest.startsWith(digest)) &&
    (from === undefined || job.from?.includes(from) === true) &&
    (policy === undefined || job.policies.includes(policy)) &&
    (cause === undefined || job.cause === cause) &&
    (paused === undefined || (job.pausedBy !== undefined) === (paused === 'true'))
}

function repositoryMatcher(text: string): (name: string) => boolean {
  if (/[*?[{]/.test(text)) return anyGlob([text])
  const folder = text.endsWith('/') ? text : `${text}/`
  return (name) => name === text || name.startsWith(folder)
}

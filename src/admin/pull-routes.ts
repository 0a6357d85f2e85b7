/** The route by which a person has an image fetched: now, whatever the policies would wait for. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import { readAtMost } from '../lib/read-at-most.ts'
import { parseReference, parseRepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Pulls } from '../worker/pulls.ts'
import { type AdminBindings, type AdminContext, refuseActing } from './caller.ts'
import { failure, refused } from './failure.ts'
import type { Operation } from './operation.ts'
import type { WhyView } from './why-view.ts'

export const PULL = z.object({
  node: z.string(),
  repository: z.string(),
  reference: z.string(),
  /** What the reference names now. */
  digest: z.string(),
  /** Id of the job that fetches it. */
  job: z.string(),
})
export type PullView = z.infer<typeof PULL>

export interface PullRoutesDeps {
  readonly access: Access
  readonly self: NodeName
  readonly pulls: Pulls
  /** Says why there is nothing to fetch. */
  readonly why: (key: RecordKey, node: NodeName) => Promise<WhyView>
}

/** A name and a reference are shorter together, bytes. */
const MAX_BODY_BYTES = 4_096

/** In the query, or as the body. */
const BODY = z.object({ repository: z.string(), reference: z.string() })

export const PULL_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/pulls',
    method: 'post',
    summary: 'Fetches an image now, whatever its policies would wait for',
    query: BODY.partial(),
    body: BODY,
    status: 202,
    answer: PULL,
    others: {
      400: { description: 'NAME_INVALID: no repository, tag or digest' },
      404: { description: 'IMAGE_UNKNOWN: no record of it came here' },
      409: { description: 'ALREADY_HERE; NOT_PULLED: no policy lets it come here' },
    },
    isActing: true,
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addPullRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { access, self, pulls, why }: PullRoutesDeps,
): void {
  app.post('/api/v1/pulls', async (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const key = await keyOf(context)
    if (key === undefined) {
      const message = 'expected ?repository=NAME&reference=TAG or DIGEST, or both as a JSON object'
      return failure(context, 400, 'NAME_INVALID', message)
    }
    const answer = await pulls.ask(key)
    if (answer.kind === 'asked') {
      const { digest, job } = answer
      return context.json({ node: self, ...key, digest, job } satisfies PullView, 202)
    }
    const { sentence } = await why(key, self)
    if (answer.reason === 'unknown') return failure(context, 404, 'IMAGE_UNKNOWN', sentence)
    const code = answer.reason === 'already-here' ? 'ALREADY_HERE' : 'NOT_PULLED'
    return failure(context, 409, code, sentence)
  })
}

async function keyOf({ req }: AdminContext): Promise<RecordKey | undefined> {
  const body =
    req.raw.body === null ? undefined : await readAtMost(req.raw.body as never, MAX_BODY_BYTES)
  const fields = { ...req.query(), ...jsonOf(body) }
  const [repository, reference] = [
    parseRepositoryName(String(fields.repository ?? '')),
    parseReference(String(fields.reference ?? '')),
  ]
  return repository === undefined || reference === undefined ? undefined : { repository, reference }
}

function jsonOf(bytes: Uint8Array | undefined): Partial<z.infer<typeof BODY>> {
  try {
    return BODY.safeParse(JSON.parse(Buffer.from(bytes ?? []).toString())).data ?? {}
  } catch {
    return {}
  }
}

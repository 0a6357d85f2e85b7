/** The routes about deletes of other writers: which wait here, and for what, and a person's word that lets them through. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import type { DueKeys } from '../worker/due-keys.ts'
import type { OriginDeletes } from '../worker/origin-deletes.ts'
import { type AdminBindings, type AdminContext, refuseActing } from './caller.ts'
import { CONFIRMED_DELETES, type ConfirmedView, DELETES, type DeletesView } from './deletes-view.ts'
import { failure, refused } from './failure.ts'
import type { Operation } from './operation.ts'
import { QUERY_INVALID, readQuery } from './query.ts'

export interface DeleteRoutesDeps {
  readonly access: Access
  readonly self: NodeName
  readonly deletes: Pick<OriginDeletes, 'of'> & Pick<DueKeys, 'repositories' | 'confirm'>
}

/** Deletes in one answer, at most. */
const MAX_DELETES = 1_000

const DELETES_QUERY = z.strictObject({
  repository: z.string().optional().meta({ description: 'Absent: all that have any' }),
})
const CONFIRM_QUERY = z.strictObject({ repository: z.string() })

const INVALID = { 400: { description: `${QUERY_INVALID}; NAME_INVALID: no repository` } }

export const DELETE_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/deletes',
    method: 'get',
    summary: 'What was deleted at its origin and is still shown here, until when or why',
    query: DELETES_QUERY,
    answer: DELETES,
    others: INVALID,
  },
  {
    path: '/api/v1/deletes/confirm',
    method: 'post',
    summary: 'Lets the deletes of a repository go that are known now',
    query: CONFIRM_QUERY,
    answer: CONFIRMED_DELETES,
    others: { ...INVALID, 404: { description: 'DELETES_UNKNOWN: none waits here' } },
    isActing: true,
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addDeleteRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { access, self, deletes }: DeleteRoutesDeps,
): void {
  app.get('/api/v1/deletes', async (context) => {
    const query = readQuery(context, DELETES_QUERY)
    if (query instanceof Response) return query
    if (query.repository === undefined) return context.json(await view(deletes.repositories()))
    const name = parseRepositoryName(query.repository)
    return name === undefined ? noName(context) : context.json(await view([name]))
  })

  app.post('/api/v1/deletes/confirm', async (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const query = readQuery(context, CONFIRM_QUERY)
    if (query instanceof Response) return query
    const repository = parseRepositoryName(query.repository)
    if (repository === undefined) return noName(context)
    const confirmed = await deletes.confirm(repository)
    if (confirmed > 0) return context.json({ repository, confirmed } satisfies ConfirmedView)
    const message = `${self} shows no tag of ${repository} that was deleted and that it is to delete too`
    return failure(context, 404, 'DELETES_UNKNOWN', message)
  })

  async function view(names: readonly RepositoryName[]): Promise<DeletesView> {
    const repositories: DeletesView['repositories'] = []
    let room = MAX_DELETES
    for (const name of names) {
      const { deletes: all, ...rest } = await deletes.of(name)
      if (all.length === 0) continue
      const told = all.slice(0, room)
      room -= told.length
      repositories.push({ ...rest, deletes: [...told], leftOff: all.length - told.length })
      if (room === 0) break
    }
    return { node: self, repositories }
  }
}

function noName(context: AdminContext): Response {
  return failure(context, 400, 'NAME_INVALID', 'expected ?repository=NAME')
}

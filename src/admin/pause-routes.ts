/** The routes about what a person has paused: everything, what comes from a neighbour, or what a policy asks for. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { Pauses, PauseTarget } from '../queue/pauses.ts'
import type { Topology } from '../topology/topology.ts'
import { type AdminBindings, refuseActing } from './caller.ts'
import { failure, refused } from './failure.ts'
import { PAUSE, PAUSES, type PausesView } from './job-view.ts'
import type { Operation } from './operation.ts'
import { QUERY_INVALID, readQuery } from './query.ts'

export interface PauseRoutesDeps {
  readonly access: Access
  readonly topology: Topology
  readonly neighbours: Pick<Neighbours, 'list'>
  readonly pauses: Pick<Pauses, 'list' | 'pause' | 'resume'>
}

/** Exactly one of them. */
const TARGET = z.strictObject({
  all: z.enum(['true']).optional(),
  link: z.string().max(255).optional().meta({ description: 'Name of the neighbour' }),
  policy: z.string().max(255).optional(),
})

const BAD_TARGET = { description: `${QUERY_INVALID}; expected one of all=true, link and policy` }

export const PAUSE_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/pauses',
    method: 'get',
    summary: 'What is paused, and since when',
    answer: PAUSES,
  },
  {
    path: '/api/v1/pauses',
    method: 'post',
    summary: 'Pauses all transfers, those from a neighbour, or those that only a policy asks for',
    query: TARGET,
    answer: PAUSE,
    others: {
      400: BAD_TARGET,
      404: { description: 'NODE_UNKNOWN, POLICY_UNKNOWN: nothing comes from there to this node' },
    },
    isActing: true,
  },
  {
    path: '/api/v1/pauses',
    method: 'delete',
    summary: 'Resumes what was paused; answers what still is',
    query: TARGET,
    answer: PAUSES,
    others: { 400: BAD_TARGET, 404: { description: 'PAUSE_UNKNOWN: it is not paused' } },
    isActing: true,
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addPauseRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  { access, topology, neighbours, pauses }: PauseRoutesDeps,
): void {
  const view = () => ({ pauses: pauses.list() }) satisfies PausesView

  app.get('/api/v1/pauses', (context) => context.json(view()))

  app.on(['POST', 'DELETE'], '/api/v1/pauses', async (context) => {
    const refusal = refuseActing(access, context)
    if (refusal !== undefined) return refused(context, refusal)
    const query = readQuery(context, TARGET)
    if (query instanceof Response) return query
    const target = targetOf(query)
    if (target === undefined) {
      const message = 'expected one of ?all=true, ?link=NODE and ?policy=NAME'
      return failure(context, 400, 'QUERY_INVALID', message)
    }
    if (context.req.method === 'DELETE') {
      if (await pauses.resume(target)) return context.json(view())
      return failure(context, 404, 'PAUSE_UNKNOWN', `${textOf(target)} is not paused`)
    }
    const unknown = problemOf(target)
    if (unknown !== undefined) return failure(context, 404, unknown.code, unknown.message)
    return context.json(await pauses.pause(target))
  })

  /** What was paused may be resumed whatever the topology says now; what is not there is not paused. */
  function problemOf({ scope, name = '' }: PauseTarget) {
    const known =
      scope === 'link' ? neighbours.list().map((one) => one.name) : [...topology.policies.keys()]
    if (scope === 'all' || known.some((one) => one === name)) return undefined
    const [code, what] =
      scope === 'link' ? ['NODE_UNKNOWN', 'neighbour'] : ['POLICY_UNKNOWN', 'policy']
    return { code, message: `no ${what} ${name}; there are ${known.join(', ')}` }
  }
}

function targetOf({ all, link, policy }: z.output<typeof TARGET>): PauseTarget | undefined {
  const targets: PauseTarget[] = []
  if (all !== undefined) targets.push({ scope: 'all' })
  if (link !== undefined) targets.push({ scope: 'link', name: link })
  if (policy !== undefined) targets.push({ scope: 'policy', name: policy })
  return targets.length === 1 ? targets[0] : undefined
}

function textOf({ scope, name }: PauseTarget): string {
  return scope === 'all' ? 'the node' : `${scope} ${name}`
}

/** The OpenAPI document, made from the schemas that are also the types of the answers. */
import { z } from 'zod'
import { CONVERGENCE, TOPOLOGY } from './convergence-view.ts'
import { COLLECTION, FAILURE, JOB, JOBS_PAGE, RECORDS_PAGE, STATUS } from './views.ts'
import { WHY } from './why-view.ts'

type Method = 'get' | 'post'

interface Operation {
  readonly path: string
  readonly method: Method
  readonly summary: string
  readonly parameters?: readonly string[]
  /** Undefined for the live stream. */
  readonly answer: z.ZodType | undefined
}

const OPERATIONS: readonly Operation[] = [
  { path: '/api/v1/status', method: 'get', summary: 'The node and its neighbours', answer: STATUS },
  {
    path: '/api/v1/events',
    method: 'get',
    summary: 'Server-sent events: snapshot (status and jobs), then every event as it happens',
    answer: undefined,
  },
  {
    path: '/api/v1/jobs',
    method: 'get',
    summary: 'Jobs by id, the last that ended among them',
    parameters: ['state', 'repository', 'limit', 'after'],
    answer: JOBS_PAGE,
  },
  { path: '/api/v1/jobs/{id}', method: 'get', summary: 'One job', answer: JOB },
  {
    path: '/api/v1/jobs/{id}/cancel',
    method: 'post',
    summary: 'Holds a job until a retry or newer news; loopback only',
    answer: JOB,
  },
  {
    path: '/api/v1/jobs/{id}/retry',
    method: 'post',
    summary: 'Runs a held or waiting job now; loopback only',
    answer: JOB,
  },
  {
    path: '/api/v1/records',
    method: 'get',
    summary: 'What the node knows, holds and plans',
    parameters: ['repository', 'reference', 'limit', 'after'],
    answer: RECORDS_PAGE,
  },
  {
    path: '/api/v1/topology',
    method: 'get',
    summary: 'The nodes of the mesh and where their registries are',
    answer: TOPOLOGY,
  },
  {
    path: '/api/v1/convergence',
    method: 'get',
    summary: 'What the node has still to do, its lag, and how far it and its readers have read',
    answer: CONVERGENCE,
  },
  {
    path: '/api/v1/why',
    method: 'get',
    summary: 'Why an image is here or is not; with node, what the topology says of another node',
    parameters: ['repository', 'reference', 'node'],
    answer: WHY,
  },
  {
    path: '/api/v1/gc',
    method: 'post',
    summary:
      'Takes what nothing needs any more, or says with dryRun=true what would go; loopback only',
    parameters: ['dryRun'],
    answer: COLLECTION,
  },
]

export function openApiDocument(version: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const { path, method, summary, parameters = [], answer } of OPERATIONS) {
    const inPath = path.includes('{id}')
      ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }]
      : []
    const inQuery = parameters.map((name) => ({ name, in: 'query', schema: { type: 'string' } }))
    paths[path] = {
      ...paths[path],
      [method]: {
        summary,
        parameters: [...inPath, ...inQuery],
        responses: {
          200: { description: summary, content: contentOf(answer) },
          default: { description: 'Refused', content: contentOf(FAILURE) },
        },
      },
    }
  }
  return { openapi: '3.1.0', info: { title: 'entrepot administration', version }, paths }
}

function contentOf(schema: z.ZodType | undefined): object {
  if (schema === undefined) return { 'text/event-stream': { schema: { type: 'string' } } }
  return { 'application/json': { schema: z.toJSONSchema(schema) } }
}

/** The OpenAPI document, made from what each group of routes promises; the schemas are also the types of the answers. */
import { z } from 'zod'
import { COLLECT_OPERATIONS } from './collect.ts'
import { DELETE_OPERATIONS } from './delete-routes.ts'
import { JOB_OPERATIONS } from './job-routes.ts'
import { MESH_OPERATIONS } from './mesh-routes.ts'
import { HEALTH_OPERATIONS, NODE_OPERATIONS } from './node-routes.ts'
import type { Answer, Operation } from './operation.ts'
import { PAUSE_OPERATIONS } from './pause-routes.ts'
import { PULL_OPERATIONS } from './pull-routes.ts'
import { RECORDS_OPERATIONS } from './records-routes.ts'
import { TOPOLOGY_OPERATIONS } from './topology-routes.ts'
import { FAILURE } from './views.ts'

/** Every route of the administration API and of the health of the node. */
export const OPERATIONS: readonly Operation[] = [
  ...HEALTH_OPERATIONS,
  ...NODE_OPERATIONS,
  ...JOB_OPERATIONS,
  ...PAUSE_OPERATIONS,
  ...RECORDS_OPERATIONS,
  ...MESH_OPERATIONS,
  ...TOPOLOGY_OPERATIONS,
  ...PULL_OPERATIONS,
  ...DELETE_OPERATIONS,
  ...COLLECT_OPERATIONS,
  {
    path: '/api/v1/openapi.json',
    method: 'get',
    summary: 'This document',
    answer: z.object({ openapi: z.string(), info: z.looseObject({}), paths: z.looseObject({}) }),
  },
]

const FAULTS: Readonly<Record<number, Answer>> = {
  500: { description: 'INTERNAL: a fault of the node; its log says which' },
  503: { description: 'INDEX_WRITE_FAILED, INDEX_REOPENING: the disk; try again' },
}
const GUARDED: Readonly<Record<number, Answer>> = {
  401: { description: 'UNAUTHORIZED: the caller has no account here' },
  403: { description: 'DENIED: the caller is another node' },
}
const ACTING: Readonly<Record<number, Answer>> = {
  403: { description: 'DENIED: the caller is not on this machine, and no operator' },
}

export function openApiDocument(version: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of OPERATIONS) {
    const { path, method, summary, body } = operation
    paths[path] = {
      ...paths[path],
      [method]: {
        summary,
        operationId: idOf(operation),
        parameters: parametersOf(operation),
        ...(body === undefined ? {} : { requestBody: { content: contentOf(body) } }),
        responses: answersOf(operation),
      },
    }
  }
  return { openapi: '3.1.0', info: { title: 'entrepot administration', version }, paths }
}

/** `GET /api/v1/jobs/{id}` is `get-jobs-id`. */
function idOf({ method, path }: Operation): string {
  const words = path.replace('/api/v1', '').match(/[a-z]+/g) ?? []
  return [method, ...words].join('-')
}

function parametersOf({ path, query }: Operation): readonly object[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = z.toJSONSchema(schema as z.ZodType, { io: 'input' })
    const required = !(schema as z.ZodType).safeParse(undefined).success
    const told = description === undefined ? {} : { description }
    return { name, in: 'query', required, ...told, schema: rest }
  })
  return [...inPath, ...inQuery]
}

function answersOf(operation: Operation): object {
  const { summary, status = 200, answer, others = {}, isActing = false, isOpen = false } = operation
  const all: Record<number, Answer> = {
    ...(isOpen ? {} : GUARDED),
    ...(isActing ? ACTING : {}),
    ...(isOpen ? {} : FAULTS),
    ...others,
  }
  return {
    [status]: { description: summary, content: contentOf(answer) },
    ...Object.fromEntries(
      Object.entries(all).map(([code, { description, schema = FAILURE }]) => [
        code,
        { description, content: contentOf(schema) },
      ]),
    ),
  }
}

function contentOf(answer: Operation['answer']): object {
  if (typeof answer === 'string') return { [answer]: { schema: { type: 'string' } } }
  return { 'application/json': { schema: z.toJSONSchema(answer) } }
}

import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { OPERATIONS, openApiDocument } from '../../../src/admin/openapi.ts'
import type { Operation } from '../../../src/admin/operation.ts'
import { FAILURE } from '../../../src/admin/views.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { type Ask, createAdminParts, REPOSITORY } from './admin-parts.ts'

const DIGEST = digestOf(Buffer.from('v1'))
const JOB_PATH = `/api/v1/jobs/${encodeURIComponent(`${REPOSITORY}@${DIGEST}`)}`
const NO_JOB_PATH = `/api/v1/jobs/${encodeURIComponent(`${REPOSITORY}@none`)}`

const nameOf = ({ method, path }: Operation) => `${method.toUpperCase()} ${path}`

type Parts = Awaited<ReturnType<typeof createAdminParts>>

interface Example {
  /** Where it is not the path of the operation. */
  readonly path?: string
  readonly init?: Ask
  readonly before?: (parts: Parts) => unknown
}

const addJob = ({ addJob: add }: Parts) => add('v1')
const BODY = {
  realm: 'pair',
  generation: 4,
  text: 'apiVersion: entrepot/v1',
  signature: Buffer.alloc(64).toString('base64'),
}
const apply = ({ hubPeerId: signer }: Pick<Parts, 'hubPeerId'>) => ({
  body: JSON.stringify({ ...BODY, signer }),
})

/** One request for each operation that it answers as it promises. */
const GOOD: Readonly<Record<string, Example>> = {
  'GET /healthz': {},
  'GET /readyz': {},
  'GET /metrics': {},
  'GET /api/v1/status': { before: ({ pauses }) => pauses.pause({ scope: 'all' }) },
  'GET /api/v1/events': {},
  'GET /api/v1/jobs': { path: '/api/v1/jobs?n=1', before: addTwo },
  'GET /api/v1/jobs/{id}': { path: JOB_PATH, before: askOnce },
  'POST /api/v1/jobs/{id}/cancel': { path: `${JOB_PATH}/cancel`, before: addJob },
  'POST /api/v1/jobs/{id}/pause': { path: `${JOB_PATH}/pause`, before: addJob },
  'POST /api/v1/jobs/{id}/resume': { path: `${JOB_PATH}/resume`, before: hold },
  'POST /api/v1/jobs/{id}/retry': { path: `${JOB_PATH}/retry`, before: hold },
  'GET /api/v1/history': { before: finishOne },
  'GET /api/v1/pauses': { before: ({ pauses }) => pauses.pause({ scope: 'link', name: 'hub' }) },
  'POST /api/v1/pauses': { path: '/api/v1/pauses?policy=all' },
  'DELETE /api/v1/pauses': {
    path: '/api/v1/pauses?all=true',
    before: ({ pauses }) => pauses.pause({ scope: 'all' }),
  },
  'GET /api/v1/records': {
    path: `/api/v1/records?repository=${REPOSITORY}`,
    before: ({ know }) => know('v1', DIGEST),
  },
  'GET /api/v1/convergence': {},
  'GET /api/v1/why': {
    path: `/api/v1/why?repository=${REPOSITORY}&reference=v1`,
    before: ({ know }) => know('v1', DIGEST),
  },
  'GET /api/v1/topology': {},
  'POST /api/v1/topology': {},
  'POST /api/v1/pulls': {
    path: `/api/v1/pulls?repository=${REPOSITORY}&reference=v1`,
    before: ({ know }) => know('v1', DIGEST),
  },
  'GET /api/v1/deletes': {},
  'POST /api/v1/gc': { path: '/api/v1/gc?dryRun=true' },
  'GET /api/v1/openapi.json': {},
}

/** Requests that are refused, by operation: each must be answered by a status and a code that the document names. */
const BAD: Readonly<Record<string, readonly Example[]>> = {
  'GET /api/v1/jobs': [{ path: '/api/v1/jobs?state=lost' }],
  'GET /api/v1/jobs/{id}': [{ path: NO_JOB_PATH }],
  'POST /api/v1/jobs/{id}/cancel': [{ path: `${NO_JOB_PATH}/cancel` }],
  'POST /api/v1/jobs/{id}/resume': [
    { path: `${JOB_PATH}/resume`, before: addJob },
    { path: `${JOB_PATH}/resume`, init: { address: '192.0.2.7' } },
  ],
  'POST /api/v1/jobs/{id}/retry': [{ path: `${JOB_PATH}/retry`, before: addJob }],
  'GET /api/v1/history': [{ path: '/api/v1/history?last=x' }],
  'POST /api/v1/pauses': [
    {},
    { path: '/api/v1/pauses?link=nowhere' },
    { path: '/api/v1/pauses?all=true', init: { headers: { origin: 'https://evil.example' } } },
  ],
  'DELETE /api/v1/pauses': [{}, { path: '/api/v1/pauses?all=true' }],
  'GET /api/v1/records': [{}, { path: '/api/v1/records?repository=UPPER' }],
  'GET /api/v1/why': [
    {},
    { path: `/api/v1/why?repository=${REPOSITORY}&reference=v1&node=nowhere` },
  ],
  'POST /api/v1/topology': [{ init: { body: 'x' } }],
  'POST /api/v1/pulls': [{}, { path: `/api/v1/pulls?repository=${REPOSITORY}&reference=v1` }],
  'GET /api/v1/deletes': [{ path: '/api/v1/deletes?repository=UPPER' }],
  'POST /api/v1/deletes/confirm': [
    {},
    { path: `/api/v1/deletes/confirm?repository=${REPOSITORY}` },
  ],
  'POST /api/v1/gc': [{ path: '/api/v1/gc?dryRun=perhaps' }],
  'GET /api/v1/status': [{ init: { headers: { authorization: 'Bearer guessed' } } }],
}

/** Its good answer needs more than these parts: shown in delete-routes.test.ts. */
const ELSEWHERE = new Set(['POST /api/v1/deletes/confirm'])

function addTwo({ addJob: add }: Parts): void {
  for (const name of ['v1', 'v2']) add(name, { windows: [], policies: ['all'] })
}

async function askOnce(parts: Parts): Promise<void> {
  const id = parts.addJob('v1')
  parts.queue.notes.asked(id, { node: 'hub', digest: DIGEST, outcome: 'gave' })
}

function hold(parts: Parts): void {
  parts.queue.hold(parts.addJob('v1'), 'pause')
}

async function finishOne(parts: Parts): Promise<void> {
  parts.addJob('v1')
  parts.queue.finish(await parts.queue.take({ signal: AbortSignal.timeout(5_000) }))
}

async function run(
  operation: Operation,
  { path = operation.path, init, before }: Example,
  given: Parameters<typeof createAdminParts>[0] = {},
) {
  const parts = await createAdminParts(given)
  await before?.(parts)
  const body = nameOf(operation) === 'POST /api/v1/topology' ? apply(parts) : {}
  return parts.ask(path, { method: operation.method.toUpperCase(), ...body, ...init })
}

/** Nothing is told that the schema does not know. */
function expectToFit(schema: z.ZodType, view: unknown): void {
  expect(schema.parse(view)).toEqual(view)
}

describe('admin / openapi', () => {
  test('the routes that there are, and those in the document, are the same', async () => {
    const { app } = await createAdminParts()
    const routes = app.routes.filter(({ method }) => method !== 'ALL')
    const there = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    const { paths } = openApiDocument('1') as { paths: Record<string, object> }
    const told = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(told.sort()).toEqual([...new Set(there)].sort())
    expect(told.length).toBeGreaterThan(20)
  })

  test('the document has every parameter once, an id of its own for each operation, and no reference', () => {
    const document = openApiDocument('1') as {
      openapi: string
      paths: Record<
        string,
        Record<string, { operationId: string; parameters: { name: string; in: string }[] }>
      >
    }
    expect(document.openapi).toBe('3.1.0')
    const ids: string[] = []
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const { operationId, parameters } of Object.values(methods)) {
        ids.push(operationId)
        const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => `{${name}}`)
        expect(inPath).toEqual(path.match(/\{\w+\}/g) ?? [])
        const names = parameters.map(({ name }) => name)
        expect(new Set(names).size).toBe(names.length)
      }
    }
    expect(new Set(ids).size).toBe(ids.length)
    expect(JSON.stringify(document)).not.toContain('"$ref"')
  })

  test.each(
    OPERATIONS.filter((one) => !ELSEWHERE.has(nameOf(one))).map(
      (one) => [nameOf(one), one] as const,
    ),
  )('%s answers what its schema says', async (name, operation) => {
    const example = GOOD[name]
    if (example === undefined) throw new Error(`expected an example of ${name} in this test`)
    const applyTopology = async () => ({ kind: 'adopted', generation: 4 }) as const
    const answer = await run(operation, example, { applyTopology })
    expect(answer.status).toBe(operation.status ?? 200)
    if (typeof operation.answer === 'string') {
      expect(answer.headers.get('content-type')).toContain(operation.answer)
      await answer.body?.cancel()
    } else expectToFit(operation.answer, await answer.json())
  })

  test.each(
    OPERATIONS.flatMap((one) =>
      (BAD[nameOf(one)] ?? []).map((bad) => [nameOf(one), one, bad] as const),
    ),
  )('%s refuses as the document says', async (_name, operation, example) => {
    const answer = await run(operation, example)
    const { paths } = openApiDocument('1') as never as {
      paths: Record<string, Record<string, { responses: Record<number, { description: string }> }>>
    }
    expect(answer.status).toBeGreaterThanOrEqual(400)
    const told = paths[operation.path]?.[operation.method]?.responses[answer.status]
    const view = await answer.json()
    expectToFit(FAILURE, view)
    expect(told?.description, String(answer.status)).toContain(FAILURE.parse(view).error.code)
  })
})

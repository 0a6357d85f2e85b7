import { describe, expect, test } from 'vitest'
import { RECORDS_PAGE, STATUS } from '../../../src/admin/views.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createAdminParts, jsonOf, REPOSITORY } from './admin-parts.ts'

const [ONE, TWO] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'))]
const LAN = '192.0.2.7'

describe('admin / health', () => {
  test('a living process answers healthz, to everybody', async () => {
    const { ask } = await createAdminParts({ anonymous: 'none' })
    expect((await ask('/healthz', { address: LAN })).status).toBe(200)
  })

  test('a node that is still starting is not ready and says what it waits for', async () => {
    let isReady = false
    const { ask } = await createAdminParts({ isReady: () => isReady })
    const answer = await ask('/readyz', { address: LAN })
    expect(answer.status).toBe(503)
    expect(await jsonOf<object>(answer)).toMatchObject({ waitingFor: expect.any(String) })
    isReady = true
    expect((await ask('/readyz', { address: LAN })).status).toBe(200)
  })
})

describe('admin / who may', () => {
  test.each([
    { anonymous: 'none', address: LAN, status: 401 },
    { anonymous: 'none', address: '127.0.0.1', status: 200 },
    { anonymous: 'pull', address: LAN, status: 200 },
  ] as const)('reading with $anonymous from $address answers $status', async (row) => {
    const { ask } = await createAdminParts({ anonymous: row.anonymous })
    for (const path of ['status', 'jobs', 'openapi.json', `records?repository=${REPOSITORY}`]) {
      const answer = await ask(`/api/v1/${path}`, { address: row.address })
      expect(answer.status, path).toBe(row.status)
    }
  })

  test('a client behind a proxy on this machine does not count as loopback', async () => {
    const { ask } = await createAdminParts({ anonymous: 'none' })
    const headers = { 'x-forwarded-for': LAN }
    expect((await ask('/api/v1/status', { headers })).status).toBe(401)
  })

  test('a token that nobody gave out is refused', async () => {
    const { ask } = await createAdminParts()
    const headers = { authorization: 'Bearer guessed' }
    expect((await ask('/api/v1/status', { headers })).status).toBe(401)
  })

  test('a node reads nothing of the API with the token for its bytes', async () => {
    const { ask, access } = await createAdminParts()
    const headers = { authorization: `Bearer ${access.issueToken('hub' as NodeName)}` }
    expect((await ask('/api/v1/status', { headers })).status).toBe(403)
  })

  test('a client from elsewhere may not act, a page of another site neither', async () => {
    const { ask, addJob } = await createAdminParts({ anonymous: 'push' })
    const path = `/api/v1/jobs/${encodeURIComponent(addJob('v1'))}/cancel`
    const post = (init: object) => ask(path, { method: 'POST', ...init })
    expect((await post({ address: LAN })).status).toBe(403)
    const foreign = { host: 'localhost:5000', origin: 'https://evil.example' }
    expect((await post({ headers: foreign })).status).toBe(403)
    const rebound = { host: 'evil.example', origin: 'http://evil.example' }
    expect((await post({ headers: rebound })).status).toBe(403)
    const own = { host: 'localhost:5000', origin: 'http://localhost:5000' }
    expect((await post({ headers: own })).status).toBe(200)
  })
})

describe('admin / status', () => {
  test('the status answers what its schema says', async () => {
    const { ask } = await createAdminParts()
    const status = STATUS.parse(await jsonOf(ask('/api/v1/status')))
    expect(status).toMatchObject({ node: 'edge', realm: 'pair', generation: 3 })
  })
})

describe('admin / records', () => {
  test('a key tells who said what, what it shows, and what the node serves', async () => {
    const { ask, know, hold } = await createAdminParts()
    await know('v1', ONE)
    await hold('v1', ONE)
    await know('v1', TWO)
    const path = `/api/v1/records?repository=${REPOSITORY}&reference=v1`
    const { records } = RECORDS_PAGE.parse(await jsonOf(ask(path)))
    expect(records).toMatchObject([
      {
        repository: REPOSITORY,
        reference: 'v1',
        visible: TWO,
        held: ONE,
        deletedAtOrigin: false,
        plan: 'pull',
        known: [{ kind: 'put', digest: TWO, writer: 'hub', time: '2026-01-02T03:04:05.000Z' }],
      },
    ])
  })

  test('what a writer deleted and this node still serves is marked', async () => {
    const { ask, know, hold } = await createAdminParts()
    await know('v1', ONE)
    await hold('v1', ONE)
    await know('v1', undefined)
    const path = `/api/v1/records?repository=${REPOSITORY}&reference=v1`
    const { records } = RECORDS_PAGE.parse(await jsonOf(ask(path)))
    expect(records).toMatchObject([{ held: ONE, deletedAtOrigin: true }])
    expect(records[0]).not.toHaveProperty('visible')
  })

  test('a repository is listed page by page, and no other one with it', async () => {
    const { ask, know } = await createAdminParts()
    const tags = ['a', 'b', 'c', 'd', 'e']
    for (const tag of tags) await know(tag, ONE)
    const listed: string[] = []
    for (let last: string | undefined = ''; last !== undefined; ) {
      const query = new URLSearchParams({ repository: REPOSITORY, n: '2', last })
      const page = RECORDS_PAGE.parse(await jsonOf(ask(`/api/v1/records?${query.toString()}`)))
      listed.push(...page.records.map(({ reference }) => reference))
      last = page.next
    }
    expect(listed).toEqual(tags)
    const other = await jsonOf(ask('/api/v1/records?repository=demo/hell'))
    expect(RECORDS_PAGE.parse(other)).toEqual({ records: [] })
  })

  test('a name or reference that is none is refused', async () => {
    const { ask } = await createAdminParts()
    for (const query of ['', 'repository=UPPER', `repository=${REPOSITORY}&reference=%2F`]) {
      expect((await ask(`/api/v1/records?${query.toString()}`)).status, query).toBe(400)
    }
  })
})

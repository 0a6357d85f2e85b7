import { describe, expect, test } from 'vitest'
import { digestNamed } from '../../helpers/writers.ts'
import { createAdminParts } from './admin-parts.ts'

const digest = digestNamed('image')
const JSON_HEADERS = { 'content-type': 'application/json' }

describe('admin / pulls', () => {
  test('an image that is known and not here gets its job, asked for in the address or the body', async () => {
    const { ask, know, queue } = await createAdminParts()
    await know('v1', digest)
    const answer = await ask('/api/v1/pulls?repository=demo/hello&reference=v1', { method: 'POST' })
    expect(answer.status).toBe(202)
    const job = `demo/hello@${digest}`
    const said = { node: 'edge', repository: 'demo/hello', reference: 'v1', digest, job }
    expect(await answer.json()).toEqual(said)
    expect(queue.get(job)?.references).toEqual(['v1'])
    const body = JSON.stringify({ repository: 'demo/hello', reference: 'v1' })
    const again = await ask('/api/v1/pulls', { method: 'POST', body, headers: JSON_HEADERS })
    expect(await again.json()).toEqual(said)
  })

  test('what cannot be fetched is refused with the reason', async () => {
    const { ask, know, hold } = await createAdminParts()
    await know('here', digest)
    await hold('here', digest)
    const codeOf = async (query: string, address = '127.0.0.1') => {
      const answer = await ask(`/api/v1/pulls${query}`, { method: 'POST', address })
      const { error } = (await answer.json()) as { error: { code: string; message: string } }
      expect(error.message.length).toBeGreaterThan(10)
      return [answer.status, error.code]
    }
    const of = (reference: string) => `?repository=demo/hello&reference=${reference}`
    expect(await codeOf(of('never'))).toEqual([404, 'IMAGE_UNKNOWN'])
    expect(await codeOf(of('here'))).toEqual([409, 'ALREADY_HERE'])
    expect(await codeOf('')).toEqual([400, 'NAME_INVALID'])
    expect(await codeOf('?repository=Bad&reference=v1')).toEqual([400, 'NAME_INVALID'])
    expect((await codeOf(of('v1'), '192.0.2.1'))[0]).toBe(403)
  })
})

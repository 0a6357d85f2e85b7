import { describe, expect, test } from 'vitest'
import { PAUSE, PAUSES } from '../../../src/admin/job-view.ts'
import { FAILURE, STATUS } from '../../../src/admin/views.ts'
import { createAdminParts, jsonOf, START_MS } from './admin-parts.ts'

const POST = { method: 'POST' }
const DELETE = { method: 'DELETE' }

describe('admin / pauses', () => {
  test('what is paused is told with its time, in the status too, until it is resumed', async () => {
    const { ask } = await createAdminParts()
    const pause = (target: string) => ask(`/api/v1/pauses?${target}`, POST)
    const all = { scope: 'all', sinceMs: START_MS } as const
    expect(PAUSE.parse(await jsonOf(pause('all=true')))).toEqual(all)
    expect(PAUSE.parse(await jsonOf(pause('link=hub')))).toMatchObject({ name: 'hub' })
    expect(PAUSE.parse(await jsonOf(pause('policy=all')))).toMatchObject({ scope: 'policy' })
    // Once more: nothing changes.
    expect(PAUSE.parse(await jsonOf(pause('all=true')))).toEqual(all)
    expect(PAUSES.parse(await jsonOf(ask('/api/v1/pauses'))).pauses).toHaveLength(3)
    expect(STATUS.parse(await jsonOf(ask('/api/v1/status'))).paused).toContainEqual(all)
    const left = PAUSES.parse(await jsonOf(ask('/api/v1/pauses?all=true', DELETE)))
    expect(left.pauses.map(({ scope }) => scope)).toEqual(['link', 'policy'])
  })

  test('what is not there is not paused, and the answer says what is', async () => {
    const { ask } = await createAdminParts()
    for (const [target, known] of [
      ['link=nowhere', 'hub'],
      ['policy=nothing', 'all'],
    ]) {
      const answer = await ask(`/api/v1/pauses?${target}`, POST)
      expect(answer.status).toBe(404)
      expect(FAILURE.parse(await jsonOf(answer)).error.message).toContain(known)
    }
    expect((await ask('/api/v1/pauses?link=hub', DELETE)).status).toBe(404)
  })

  test('exactly one target is expected', async () => {
    const { ask } = await createAdminParts()
    for (const query of ['', '?all=true&link=hub', '?all=false', '?every=true']) {
      expect((await ask(`/api/v1/pauses${query}`, POST)).status, query).toBe(400)
    }
  })

  test('a client from elsewhere reads what is paused and changes nothing', async () => {
    const { ask } = await createAdminParts()
    const address = '192.0.2.7'
    expect((await ask('/api/v1/pauses', { address })).status).toBe(200)
    expect((await ask('/api/v1/pauses?all=true', { ...POST, address })).status).toBe(403)
    expect((await ask('/api/v1/pauses?all=true', { ...DELETE, address })).status).toBe(403)
  })
})

import { describe, expect, test } from 'vitest'
import type { DeletesView } from '../../../src/admin/deletes-view.ts'
import type { WhyView } from '../../../src/admin/why-view.ts'
import { digestNamed } from '../../helpers/writers.ts'
import { createAdminParts, jsonOf, REPOSITORY, START_MS } from './admin-parts.ts'

const HOUR = 3_600_000

/** Tags that the edge holds and the hub deleted, one after the other. */
async function withDeleted(deletePolicy: string, count: number) {
  const parts = await createAdminParts({ deletePolicy })
  for (let at = 0; at < count; at += 1) {
    const [tag, digest] = [`v${at}`, digestNamed(`image ${at}`)]
    await parts.know(tag, digest)
    await parts.hold(tag, digest)
    await parts.know(tag, undefined)
  }
  parts.dueKeys.note(REPOSITORY, START_MS)
  const verdictOf = (tag: string) =>
    jsonOf<WhyView>(parts.ask(`/api/v1/why?repository=${REPOSITORY}&reference=${tag}`))
  return { ...parts, verdictOf }
}

describe('admin / delete-routes', () => {
  test('what was deleted and is to go is listed with its time, and why says the same', async () => {
    const { ask, verdictOf } = await withDeleted('{ propagate: true, grace: 1h }', 1)
    const view = await jsonOf<DeletesView>(ask('/api/v1/deletes'))
    const one = { reference: 'v0', deletedAtMs: START_MS, dueAtMs: START_MS + HOUR }
    const deletes = [{ ...one, state: 'in-grace' }]
    expect(view).toEqual({
      node: 'edge',
      repositories: [{ repository: REPOSITORY, tags: 1, heldUp: 0, deletes, leftOff: 0 }],
    })
    expect(await jsonOf(ask(`/api/v1/deletes?repository=${REPOSITORY}`))).toEqual(view)
    expect(await jsonOf(ask('/api/v1/deletes?repository=other'))).toMatchObject({
      repositories: [],
    })
    const { verdict, sentence } = await verdictOf('v0')
    expect(verdict).toBe('deleted-here-still-served')
    expect(sentence).toContain(`until ${new Date(START_MS + HOUR).toISOString()}`)
  })

  test('why says which safeguard keeps a tag, and what to do', async () => {
    const last = await withDeleted('{ propagate: true, keepLast: 1 }', 2)
    expect(await last.verdictOf('v1')).toMatchObject({
      verdict: 'deleted-here-still-served',
      sentence: expect.stringContaining('newest tags'),
    })
    expect((await last.verdictOf('v0')).verdict).toBe('settling')
    const guarded = await withDeleted('{ propagate: true, guard: 20% }', 3)
    expect((await guarded.verdictOf('v0')).sentence).toContain(
      `3 of the 3 tags of ${REPOSITORY} were deleted at once, more than its guard lets go; \`entrepot deletes edge --confirm ${REPOSITORY}\``,
    )
  })

  test('a person on the machine lets them go, and nobody else', async () => {
    const { ask } = await withDeleted('{ propagate: true, guard: 0% }', 2)
    const path = `/api/v1/deletes/confirm?repository=${REPOSITORY}`
    const far = await ask(path, { method: 'POST', address: '192.0.2.7' })
    expect(far.status).toBe(403)
    const near = await jsonOf(ask(path, { method: 'POST' }))
    expect(near).toEqual({ repository: REPOSITORY, confirmed: 2 })
    const view = await jsonOf<DeletesView>(ask('/api/v1/deletes'))
    expect(view.repositories[0]?.deletes.map(({ state }) => state)).toEqual(['due', 'due'])
  })

  test('what cannot be asked is refused with what was expected', async () => {
    const { ask } = await withDeleted('{ propagate: true }', 0)
    const codeOf = async (path: string, method = 'GET') => {
      const answer = await ask(path, { method })
      return [answer.status, (await jsonOf<{ error: { code: string } }>(answer)).error.code]
    }
    expect(await codeOf('/api/v1/deletes?repository=NOT')).toEqual([400, 'NAME_INVALID'])
    expect(await codeOf('/api/v1/deletes?repo=x')).toEqual([400, 'QUERY_INVALID'])
    expect(await codeOf('/api/v1/deletes/confirm', 'POST')).toEqual([400, 'QUERY_INVALID'])
    const nothing = `/api/v1/deletes/confirm?repository=${REPOSITORY}`
    expect(await codeOf(nothing, 'POST')).toEqual([404, 'DELETES_UNKNOWN'])
  })
})

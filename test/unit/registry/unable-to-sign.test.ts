import { expect, test } from 'vitest'
import { makeImage } from '../../helpers/images.ts'
import { startRegistry } from './registry-rig.ts'

test('a node that may not sign refuses pushes and deletes with 503 before the first byte, and serves what it has', async () => {
  const reason = 'the clock of node hub is 3600 s ahead of eu'
  let unable: string | undefined
  await using registry = await startRegistry({ unableToSign: () => unable })
  const image = makeImage('image')
  const manifest = `/v2/app/manifests/${image.digest}`
  unable = reason
  for (const [method, path] of [
    ['POST', '/v2/app/blobs/uploads/'],
    ['PUT', manifest],
    ['DELETE', manifest],
  ] as const) {
    const answer = await registry.ask(path, { method })
    expect([method, answer.status]).toEqual([method, 503])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await answer.json()).toEqual({ errors: [{ code: 'TOOMANYREQUESTS', message: reason }] })
  }
  expect((await registry.ask('/v2/app/tags/list')).status).toBe(404)
  unable = undefined
  expect((await registry.ask('/v2/app/blobs/uploads/', { method: 'POST' })).status).toBe(202)
})

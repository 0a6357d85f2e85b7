import { describe, expect, test } from 'vitest'
import { runCollector } from '../../../src/admin/collect.ts'
import { COLLECTION, type CollectionView } from '../../../src/admin/views.ts'
import type { CollectedItem } from '../../../src/storage/collected-item.ts'
import { emptyCollection } from '../../../src/storage/collector.ts'
import { META } from '../../../src/storage/index-tables.ts'
import { makeBlob } from '../../helpers/images.ts'
import { createAdminParts, jsonOf } from './admin-parts.ts'

const BLOB = makeBlob(Buffer.from('nobody needs this'))

describe('admin / collect', () => {
  test('a dry run tells what would go and why; a run takes it', async () => {
    const { ask, blobs } = await createAdminParts()
    await blobs.put(BLOB.digest, BLOB.bytes)
    const gc = async (query: string) => {
      const view = await jsonOf<CollectionView>(ask(`/api/v1/gc${query}`, { method: 'POST' }))
      expect(COLLECTION.parse(view)).toEqual(view)
      return view
    }
    const planned = await gc('?dryRun=true')
    expect(planned).toMatchObject({
      isDryRun: true,
      items: [{ kind: 'blob', name: BLOB.digest, isDue: true }],
      counts: { blob: 1, manifest: 0 },
      freedBytes: BLOB.bytes.length,
    })
    expect(planned.items[0]?.reason).toContain('no repository has it')
    expect(await blobs.stat(BLOB.digest)).toBeDefined()
    expect(await gc('')).toEqual({ ...planned, isDryRun: false })
    expect(await blobs.stat(BLOB.digest)).toBeUndefined()
    expect(await gc('')).toMatchObject({ items: [], freedBytes: 0 })
  })

  test('only clients on the machine itself may ask for it, with a word that is understood', async () => {
    const { ask } = await createAdminParts()
    const post = { method: 'POST' } as const
    expect((await ask('/api/v1/gc', { ...post, address: '192.0.2.7' })).status).toBe(403)
    expect((await ask('/api/v1/gc?dryRun=perhaps', post)).status).toBe(400)
  })

  test('while content is still to be adopted the answer says what has to come first', async () => {
    const { ask, index } = await createAdminParts()
    await index.transact((tx) => tx.put(META, 'adoption', { version: 0 }))
    const answer = await ask('/api/v1/gc', { method: 'POST' })
    expect(answer.status).toBe(409)
    expect(await answer.text()).toContain('ADOPTION_OPEN')
  })

  test('beyond the bound items are counted, not told', async () => {
    const item = (at: number): CollectedItem => ({
      kind: 'blob',
      name: `sha256:${at}`,
      bytes: 1,
      reason: 'no repository has it',
      dueAtMs: 0,
      isDue: true,
    })
    const view = await runCollector(
      {
        plan: async function* () {
          for (let at = 0; at < 1_500; at += 1) yield item(at)
        },
        collect: async () => emptyCollection(),
      },
      { isDryRun: true },
    )
    expect(view.items).toHaveLength(1_000)
    expect(view).toMatchObject({ leftOff: 500, freedBytes: 1_500 })
  })
})

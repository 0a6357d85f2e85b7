import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeImage, OCI_INDEX } from '../../helpers/images.ts'
import { push } from '../../helpers/storage-rig.ts'
import { EDGE, errorOf, type Registry, startRegistry } from './registry-rig.ts'

const IMAGE = makeImage('listed')
/** The path and query that a Link header leads to. */
const nextOf = (answer: Response) =>
  /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]

describe('lists', () => {
  let registry: Registry

  beforeEach(async () => {
    registry = await startRegistry({ store: 'memory', edgeReads: ['b', 'd'] })
  })
  afterEach(() => registry[Symbol.asyncDispose]())

  /** Follows Link from page to page. */
  async function pages<T>(
    path: string,
    pick: (body: T) => readonly string[],
    init: RequestInit = {},
  ) {
    const found: (readonly string[])[] = []
    for (let next: string | undefined = path; next !== undefined; ) {
      const answer: Response = await registry.ask(next, init)
      expect(answer.status).toBe(200)
      found.push(pick((await answer.json()) as T))
      next = nextOf(answer)
    }
    return found
  }

  it('tags come in order, in pages, each once', async () => {
    for (const tag of ['v2', 'latest', 'a', 'B', 'v10'])
      await push(registry, 'team/app', tag, IMAGE)
    const pick = ({ tags }: { tags: string[] }) => tags
    expect(await pages('/v2/team/app/tags/list', pick)).toEqual([['B', 'a', 'latest', 'v10', 'v2']])
    expect(await pages('/v2/team/app/tags/list?n=2', pick)).toEqual([
      ['B', 'a'],
      ['latest', 'v10'],
      ['v2'],
    ])
    expect(await pages('/v2/team/app/tags/list?last=latest', pick)).toEqual([['v10', 'v2']])
    expect(await pages('/v2/team/app/tags/list?n=5', pick)).toHaveLength(1)
    expect(await pages('/v2/team/app/tags/list?n=0', pick)).toEqual([[]])
  })

  it('the tag list names its repository; an unknown one is NAME_UNKNOWN', async () => {
    await push(registry, 'team/app', 'v1', IMAGE)
    const answer = await registry.ask('/v2/team/app/tags/list')
    expect(await answer.json()).toEqual({ name: 'team/app', tags: ['v1'] })
    const absent = await registry.ask('/v2/team/none/tags/list')
    expect([absent.status, (await errorOf(absent)).code]).toEqual([404, 'NAME_UNKNOWN'])
  })

  it.each(['-1', 'x', '1.5', '1e999'])('?n=%s is refused', async (n) => {
    expect((await registry.ask(`/v2/_catalog?n=${n}`)).status).toBe(400)
  })

  it('repositories come in order, in pages, each once', async () => {
    for (const name of ['d', 'a', 'c/x', 'b', 'c']) await push(registry, name, 'v1', IMAGE)
    const pick = ({ repositories }: { repositories: string[] }) => repositories
    expect(await pages('/v2/_catalog', pick)).toEqual([['a', 'b', 'c', 'c/x', 'd']])
    expect(await pages('/v2/_catalog?n=2', pick)).toEqual([['a', 'b'], ['c', 'c/x'], ['d']])
    expect((await pages('/v2/_catalog?n=3&last=b', pick)).flat()).toEqual(['c', 'c/x', 'd'])
  })

  it('a node of the mesh sees the repositories that its links let through', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await push(registry, name, 'v1', IMAGE)
    const init = { headers: { authorization: `Bearer ${registry.access.issueToken(EDGE)}` } }
    const pick = ({ repositories }: { repositories: string[] }) => repositories
    expect(await pages('/v2/_catalog?n=1', pick, init)).toEqual([['b'], ['d']])
    expect((await registry.ask('/v2/a/tags/list', init)).status).toBe(403)
    expect((await registry.ask('/v2/b/tags/list', init)).status).toBe(200)
  })

  it('referrers are an index of what names the subject, filtered by type where asked', async () => {
    await push(registry, 'team/app', 'v1', IMAGE)
    const signature = makeImage('signature', { subject: IMAGE, annotations: { who: 'us' } })
    await push(registry, 'team/app', signature.digest, signature)
    const path = `/v2/team/app/referrers/${IMAGE.digest}`
    const all = await registry.ask(path)
    expect(all.headers.get('content-type')).toBe(OCI_INDEX)
    expect(all.headers.has('oci-filters-applied')).toBe(false)
    const index = (await all.json()) as { manifests: { artifactType: string }[] }
    expect(index).toMatchObject({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [
        { digest: signature.digest, size: signature.bytes.length, annotations: { who: 'us' } },
      ],
    })
    const type = index.manifests[0]?.artifactType ?? ''
    for (const [wanted, count] of [
      [type, 1],
      ['application/other', 0],
    ] as const) {
      const filtered = await registry.ask(`${path}?artifactType=${encodeURIComponent(wanted)}`)
      expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType')
      expect(((await filtered.json()) as typeof index).manifests).toHaveLength(count)
    }
  })

  it('nobody refers to an unknown digest, nor in a repository that does not exist', async () => {
    const answer = await registry.ask(`/v2/team/none/referrers/sha256:${'0'.repeat(64)}`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ schemaVersion: 2, manifests: [] })
  })
})

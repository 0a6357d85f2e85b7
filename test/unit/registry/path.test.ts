import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRepositoryName } from '../../../src/oci/name.ts'
import { parsePath } from '../../../src/registry/path.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const ID = '0f8fad5b-d9cd-469f-a165-70867728950e'

describe('paths below /v2/', () => {
  it.each([
    ['_catalog', { kind: 'catalog' }],
    ['a/tags/list', { kind: 'tags', repository: 'a' }],
    ['a/b/c/tags/list', { kind: 'tags', repository: 'a/b/c' }],
    ['tags/list/tags/list', { kind: 'tags', repository: 'tags/list' }],
    ['a/manifests/v1', { kind: 'manifest', repository: 'a', reference: 'v1' }],
    [`a/manifests/${DIGEST}`, { kind: 'manifest', repository: 'a', reference: DIGEST }],
    [
      'a/manifests/b/manifests/v1',
      { kind: 'manifest', repository: 'a/manifests/b', reference: 'v1' },
    ],
    [`a/blobs/${DIGEST}`, { kind: 'blob', repository: 'a', digest: DIGEST }],
    [`a/blobs/${DIGEST.replace(':', '%3A')}`, { kind: 'blob', repository: 'a', digest: DIGEST }],
    ['a/blobs/uploads', { kind: 'uploads', repository: 'a' }],
    ['a/blobs/uploads/', { kind: 'uploads', repository: 'a' }],
    [`a/blobs/uploads/${ID}`, { kind: 'upload', repository: 'a', id: ID }],
    [`a/referrers/${DIGEST}`, { kind: 'referrers', repository: 'a', digest: DIGEST }],
    ['blobs/uploads/blobs/uploads/', { kind: 'uploads', repository: 'blobs/uploads' }],
  ])('%s is understood', (path, target) => {
    expect(parsePath(path, 'GET')).toEqual(target)
  })

  it.each([
    '',
    'a',
    'a/tags',
    'tags/list',
    '_catalog/x',
    'a/manifests',
    'a/manifests/',
    'a/unknown/x',
  ])('%j is nothing of this API', (path) => {
    expect(parsePath(path, 'GET')).toBeUndefined()
  })

  it.each([
    '/tags/list',
    '../tags/list',
    'a/../b/tags/list',
    'a/%2e%2e/b/tags/list',
    'a/..%2fb/tags/list',
    'a//b/tags/list',
    'a/./b/tags/list',
    'a%00/tags/list',
    'a%0a/tags/list',
    'A/tags/list',
    'a\\b/tags/list',
    'a%5cb/tags/list',
    'a%25/tags/list',
    '%ff/tags/list',
    '%zz/tags/list',
    'a b/tags/list',
    '-a/tags/list',
    '_manifests/tags/list',
    `${'a/'.repeat(200)}a/tags/list`,
    'ä/tags/list',
  ])('%j names no repository', (path) => {
    expect(() => parsePath(path, 'GET')).toThrow(
      expect.objectContaining({ code: 'NAME_INVALID', status: 400 }),
    )
  })

  it.each([
    ['a/blobs/sha256:short', 'GET', 'DIGEST_INVALID'],
    [`a/blobs/md5:${'a'.repeat(32)}`, 'GET', 'DIGEST_INVALID'],
    ['a/referrers/latest', 'GET', 'DIGEST_INVALID'],
    ['a/manifests/sha256:short', 'GET', 'DIGEST_INVALID'],
    ['a/manifests/.hidden', 'PUT', 'MANIFEST_INVALID'],
    [`a/manifests/${'x'.repeat(129)}`, 'PUT', 'MANIFEST_INVALID'],
    ['a/manifests/..%2f..%2fx', 'PUT', 'MANIFEST_INVALID'],
    ['a/manifests/.hidden', 'GET', 'MANIFEST_UNKNOWN'],
    ['a/manifests/.hidden', 'DELETE', 'MANIFEST_UNKNOWN'],
  ])('%j is refused to %s as %s', (path, method, code) => {
    expect(() => parsePath(path, method)).toThrow(expect.objectContaining({ code }))
  })

  it('whatever is sent, a repository that comes out is one of the grammar', () => {
    const part = fc.constantFrom('a', 'b1', '..', '.', '', '%2e%2e', '%00', 'blobs', 'uploads', 'A')
    const end = fc.constantFrom('tags/list', 'manifests/v1', `blobs/${DIGEST}`, 'blobs/uploads/')
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string()), { maxLength: 5 }), end, (parts, ending) => {
        try {
          const target = parsePath([...parts, ending].join('/'), 'GET')
          if (target === undefined || target.kind === 'catalog') return true
          return parseRepositoryName(target.repository) === target.repository
        } catch (err) {
          return (err as { name: string }).name === 'OciError'
        }
      }),
    )
  })
})

import { describe, expect, test } from 'vitest'
import { errorLines, textOf } from '../../helpers/topology-texts.ts'

const KEY = `12D3KooW${'A'.repeat(44)}`
const nodeErrors = (node: string) => errorLines(textOf({ nodes: `{ a: ${node}, b: {} }` }))

describe('topology / schema', () => {
  test.each(['http://a', 'https://registry.example.org:5000', 'http://[::1]:5000'])(
    '%s is an endpoint',
    (endpoint) => {
      expect(nodeErrors(`{ endpoint: "${endpoint}" }`)).toEqual([])
    },
  )

  test.each([
    'ftp://a:1',
    'http://a:1/',
    'http://a/v2',
    'http://user:secret@a',
    'http://a?x',
    'http://a:99999',
    'http://a:0',
    'a:5000',
  ])('%s is no endpoint', (endpoint) => {
    expect(nodeErrors(`{ endpoint: "${endpoint}" }`)).toEqual([
      expect.stringContaining('nodes.a.endpoint: expected http://HOST:PORT'),
    ])
  })

  test.each(['/ip4/192.0.2.1/tcp/4001', '/ip6/::1/tcp/1', '/dns4/a.example.org/tcp/65535'])(
    '%s is a mesh address',
    (mesh) => {
      expect(nodeErrors(`{ endpoint: "http://a", mesh: "${mesh}" }`)).toEqual([])
    },
  )

  test.each([
    '/ip4/1.2.3.4/tcp/0',
    '/ip4/1.2.3.4/tcp/65536',
    '/ip4/1.2.3/tcp/4001',
    '/ip6/1.2.3.4/tcp/4001',
    '/dns4/-/tcp/4001',
    '/ip4/1.2.3.4/udp/4001',
    `/ip4/1.2.3.4/tcp/4001/p2p/${KEY}`,
  ])('%s is no mesh address', (mesh) => {
    expect(nodeErrors(`{ endpoint: "http://a", mesh: "${mesh}" }`)).toEqual([
      expect.stringContaining('nodes.a.mesh: expected a multiaddr'),
    ])
  })

  test.each(['12D3KooW', `${KEY}A`, KEY.replace('AA', '0O'), `Qm${KEY.slice(2)}`])(
    '%s is no peer id',
    (peerId) => {
      expect(nodeErrors(`{ endpoint: "http://a", peerId: "${peerId}" }`)).toEqual([
        expect.stringContaining('nodes.a.peerId: expected an Ed25519 peer id'),
      ])
    },
  )

  test.each([
    ['tags: register, resolve: hlc-lww, keep: all', 'expected "losers-as-suffixed-tag"; got "all"'],
    ['tags: immutable, keep: losers-as-suffixed-tag', '"keep" does not belong here'],
  ])('what becomes of losers is said beside a register: not { %s }', (conflict, says) => {
    const origins = `[{ repos: ["**"], writers: a, conflict: { ${conflict} } }]`
    expect(errorLines(textOf({ origins }))).toEqual([expect.stringContaining(says)])
  })

  test('a key of another entry of the section does not belong here', () => {
    const conflict = 'conflict: { tags: immutable, resolve: hlc-lww }'
    const origins = `[{ repos: ["**"], writers: a, ${conflict} }]`
    const links = '[{ shape: star, center: a, leaves: b, members: "*", policies: [all] }]'
    expect(errorLines(textOf({ origins, links }))).toEqual([
      expect.stringContaining('origins[0].conflict.resolve: "resolve" does not belong here'),
      expect.stringContaining('links[0].members: "members" does not belong here'),
    ])
  })

  test.each(['A', '-a', 'a-', 'a.b', 'a_b', 'a'.repeat(64)])('%s is no name of a node', (name) => {
    const nodes = `{ a: { endpoint: "http://a" }, b: {}, "${name}": {} }`
    expect(errorLines(textOf({ nodes }))).toEqual([
      expect.stringContaining('expected a node name: a-z, 0-9 and -, at most 63 characters'),
    ])
  })
})

import { describe, expect, it } from 'vitest'
import type { AnonymousRight, Caller } from '../../../src/access/access.ts'
import { createAccess } from '../../../src/access/create-access.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

const APP = 'team/app' as RepositoryName
const SECRET = 'team/secret' as RepositoryName
const EDGE = 'edge' as NodeName
const HUB = 'hub' as NodeName

function makeAccess(anonymous: AnonymousRight = 'pull') {
  return createAccess(
    {
      nodeMayRead: (node, repository) => node === EDGE && repository === APP,
      random: systemRandom,
    },
    { anonymous },
  )
}

const asked = (authorization: string | undefined, address = '10.0.0.7') => ({
  authorization,
  address,
})

describe('access', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.0.0.7', false],
    ['::ffff:10.0.0.7', false],
    ['fe80::1', false],
    ['', false],
    ['1127.0.0.1', false],
  ])(
    'who asks without credentials from %j is anonymous, on loopback: %s',
    (address, isLoopback) => {
      expect(makeAccess().identify(asked(undefined, address))).toEqual({
        kind: 'anonymous',
        address,
        isLoopback,
      })
    },
  )

  it("a node is known by its two newest tokens, whatever the case of 'Bearer'", () => {
    const access = makeAccess()
    const tokens = [access.issueToken(EDGE), access.issueToken(EDGE), access.issueToken(EDGE)]
    const callers = tokens.map((token) => access.identify(asked(`Bearer ${token}`)))
    const edge: Caller = { kind: 'node', name: EDGE }
    expect(callers).toEqual([undefined, edge, edge])
    expect(access.identify(asked(`bearer ${tokens[2]}`))).toEqual(edge)
  })

  it("one node's new tokens leave another's alone", () => {
    const access = makeAccess()
    const hub = access.issueToken(HUB)
    for (let at = 0; at < 5; at += 1) access.issueToken(EDGE)
    expect(access.identify(asked(`Bearer ${hub}`))).toEqual({ kind: 'node', name: HUB })
  })

  it('tokens are 256 bits of chance in URL-safe letters', () => {
    const access = makeAccess()
    const tokens = Array.from({ length: 50 }, () => access.issueToken(EDGE))
    expect(new Set(tokens).size).toBe(50)
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  it.each([
    'Basic dXNlcjpwYXNz',
    'Bearer',
    'Bearer ',
    'Bearer x y',
    'Bearer unknown',
    'garbage',
    '',
  ])('credentials that nobody gave out are nobody: %j', (authorization) => {
    const access = makeAccess('push')
    access.issueToken(EDGE)
    expect(access.identify(asked(authorization))).toBeUndefined()
  })

  it.each([
    ['none', 'unauthorized', 'unauthorized', 'unauthorized'],
    ['pull', 'allowed', 'unauthorized', 'unauthorized'],
    ['push', 'allowed', 'allowed', 'allowed'],
  ] as const)('anonymous %s: pull is %s, push %s, delete %s', (right, pull, push, remove) => {
    const access = makeAccess(right)
    const caller: Caller = { kind: 'anonymous', address: '10.0.0.7', isLoopback: false }
    expect(access.may(caller, 'pull', APP).kind).toBe(pull)
    expect(access.may(caller, 'push', APP).kind).toBe(push)
    expect(access.may(caller, 'delete', APP).kind).toBe(remove)
    expect(access.mayList(caller).kind).toBe(pull)
  })

  it('a node pulls what its links let through, also where clients may nothing, and never writes', () => {
    const access = makeAccess('none')
    const edge: Caller = { kind: 'node', name: EDGE }
    expect(access.may(edge, 'pull', APP)).toEqual({ kind: 'allowed' })
    expect(access.may(edge, 'pull', SECRET)).toMatchObject({ kind: 'denied' })
    expect(access.may({ kind: 'node', name: HUB }, 'pull', APP)).toMatchObject({ kind: 'denied' })
    expect(access.may(edge, 'push', APP)).toMatchObject({ kind: 'denied' })
    expect(access.may(edge, 'delete', APP)).toMatchObject({ kind: 'denied' })
    expect(access.mayList(edge)).toEqual({ kind: 'allowed' })
  })

  it('only clients on loopback may administer', () => {
    const access = makeAccess('push')
    const near: Caller = { kind: 'anonymous', address: '127.0.0.1', isLoopback: true }
    expect(access.mayAdminister(near)).toEqual({ kind: 'allowed' })
    expect(access.mayAdminister({ ...near, isLoopback: false })).toMatchObject({ kind: 'denied' })
    expect(access.mayAdminister({ kind: 'node', name: EDGE })).toMatchObject({ kind: 'denied' })
  })
})

import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createHolders } from '../../../src/peers/holders.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

const repository = 'demo/hello' as RepositoryName
const other = 'demo/other' as RepositoryName
const digest = (n: number) => `sha256:${n.toString(16).padStart(64, '0')}` as Digest
const [hub, edge] = ['hub', 'edge'] as NodeName[] as [NodeName, NodeName]

describe('holders', () => {
  test('everybody who said so holds a manifest, in that repository alone', () => {
    const holders = createHolders()
    holders.note(hub, repository, digest(1))
    holders.note(edge, repository, digest(1))
    holders.note(edge, repository, digest(1))
    expect([...holders.of(repository, digest(1))]).toEqual([hub, edge])
    expect([...holders.of(other, digest(1))]).toEqual([])
    expect(holders.count()).toBe(1)
  })

  test('who does not have it is forgotten, and an unclaimed manifest takes no room', () => {
    const holders = createHolders()
    holders.note(hub, repository, digest(1))
    holders.forget(edge, repository, digest(1))
    expect([...holders.of(repository, digest(1))]).toEqual([hub])
    holders.forget(hub, repository, digest(1))
    expect(holders.count()).toBe(0)
  })

  test('a node can be forgotten as a whole', () => {
    const holders = createHolders()
    for (let n = 0; n < 10; n += 1) holders.note(hub, repository, digest(n))
    holders.note(edge, repository, digest(3))
    holders.forgetNode(hub)
    expect(holders.count()).toBe(1)
    expect([...holders.of(repository, digest(3))]).toEqual([edge])
  })

  test('who holds some platforms is asked for those, and loses no claim over others', () => {
    const holders = createHolders()
    const [amd, arm] = ['linux/amd64', 'linux/arm64']
    holders.note(hub, repository, digest(1), [amd, arm])
    holders.note(edge, repository, digest(1), [arm])
    expect([...holders.of(repository, digest(1))]).toEqual([])
    expect([...holders.of(repository, digest(1), [arm])]).toEqual([hub, edge])
    expect([...holders.of(repository, digest(1), [amd])]).toEqual([hub])
    expect([...holders.of(repository, digest(1), [])]).toEqual([hub, edge])
    holders.forget(edge, repository, digest(1), [amd])
    expect([...holders.of(repository, digest(1), [arm])]).toEqual([hub, edge])
    holders.forget(edge, repository, digest(1), [arm])
    expect([...holders.of(repository, digest(1), [arm])]).toEqual([hub])
    holders.note(edge, repository, digest(1))
    expect([...holders.of(repository, digest(1))]).toEqual([edge])
    holders.note(edge, repository, digest(1), [arm])
    expect([...holders.of(repository, digest(1))]).toEqual([edge])
  })

  test('when it is full, the manifest noted longest ago goes first', () => {
    const holders = createHolders({ limit: 2 })
    holders.note(hub, repository, digest(1))
    holders.note(hub, repository, digest(2))
    holders.note(edge, repository, digest(1))
    holders.note(hub, repository, digest(3))
    expect(holders.count()).toBe(2)
    expect([...holders.of(repository, digest(1))]).toEqual([hub, edge])
    expect([...holders.of(repository, digest(2))]).toEqual([])
  })
})

import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createAskingSource } from '../../../src/transfer/asking-source.ts'
import type { Asking, RegistrySource } from '../../../src/transfer/registry-source.ts'

const REPO = 'team/app' as RepositoryName
const DIGEST = `sha256:${'0'.repeat(64)}` as Digest
const [hub, edge, other] = ['hub', 'edge', 'other'] as NodeName[] as [NodeName, NodeName, NodeName]
const { signal } = new AbortController()

function setUp() {
  const chains: (Asking | undefined)[] = []
  const answer = Promise.withResolvers<void>()
  const source: RegistrySource = {
    manifest: async (_node, _repository, _digest, { asking }) => {
      chains.push(asking)
      await answer.promise
      return { kind: 'absent' }
    },
    blob: async (_node, _repository, _digest, { asking }) => {
      chains.push(asking)
      const body = (async function* () {
        yield Buffer.from('a')
        yield Buffer.from('b')
      })()
      return { kind: 'blob', offset: 0, body }
    },
  }
  return { chains, answer, ...createAskingSource({ source, self: edge }) }
}

describe('transfer / asking source', () => {
  test('who is asked hears who waits, this node last', async () => {
    const rig = setUp()
    rig.answer.resolve()
    await rig.manifest(hub, REPO, DIGEST, { signal })
    await rig.manifest(hub, REPO, DIGEST, { signal, asking: [other] })
    await rig.blob(hub, REPO, DIGEST, { offset: 0, signal, asking: [other] })
    expect(rig.chains).toEqual([[edge], [other, edge], [other, edge]])
  })

  test('a node is being asked until its answer has come', async () => {
    const rig = setUp()
    const answers = [hub, hub].map((node) => rig.manifest(node, REPO, DIGEST, { signal }))
    expect(rig.isAsking(DIGEST, [other, hub])).toBe(true)
    expect(rig.isAsking(DIGEST, [other])).toBe(false)
    rig.answer.resolve()
    await Promise.all(answers)
    expect(rig.isAsking(DIGEST, [hub])).toBe(false)
  })

  test('for a blob until its body has ended, or nobody reads on', async () => {
    const rig = setUp()
    for (const isRead of [true, false]) {
      const answer = await rig.blob(hub, REPO, DIGEST, { offset: 0, signal })
      if (answer.kind !== 'blob') throw new Error('a blob')
      expect(rig.isAsking(DIGEST, [hub])).toBe(true)
      for await (const _ of answer.body) if (!isRead) break
      expect(rig.isAsking(DIGEST, [hub])).toBe(false)
    }
  })
})

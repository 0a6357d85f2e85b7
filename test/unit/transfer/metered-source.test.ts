import { describe, expect, test } from 'vitest'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createMeteredSource } from '../../../src/transfer/metered-source.ts'
import type { BlobAnswer, Refused } from '../../../src/transfer/registry-source.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const HUB = 'hub' as NodeName

function setUp(answer: () => Promise<BlobAnswer | Refused>) {
  const ended: number[] = []
  let begun = 0
  const source = createMeteredSource(
    { manifest: async () => ({ kind: 'absent' }), blob: answer },
    {
      begin: () => {
        begun += 1
        return (bytes) => void ended.push(bytes)
      },
    },
  )
  const options = { offset: 0, signal: new AbortController().signal }
  const ask = () => source.blob(HUB, repo('app'), digestNamed('x'), options)
  return { source, ask, ended, begun: () => begun }
}

async function* body(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(3)
  yield new Uint8Array(4)
}

describe('transfer / metered-source', () => {
  test('a transfer ends with its last byte, or when its reader gives up', async () => {
    const { ask, ended } = setUp(async () => ({ kind: 'blob', offset: 0, body: body() }))
    const whole = await ask()
    expect(ended).toEqual([])
    if (whole.kind === 'blob') for await (const _chunk of whole.body);
    const part = await ask()
    if (part.kind === 'blob') for await (const _chunk of part.body) break
    expect(ended).toEqual([7, 3])
  })

  test('one that gives nothing ends at once, and one that throws too', async () => {
    const refused = setUp(async () => ({ kind: 'absent' }))
    expect(await refused.ask()).toEqual({ kind: 'absent' })
    const failing = setUp(async () => {
      throw new Error('aborted')
    })
    await expect(failing.ask()).rejects.toThrow('aborted')
    expect([refused.ended, failing.ended]).toEqual([[0], [0]])
  })

  test('manifests are not measured: they are too small to say anything', async () => {
    const { source, begun } = setUp(async () => ({ kind: 'absent' }))
    const { signal } = new AbortController()
    await source.manifest(HUB, repo('app'), digestNamed('x'), { signal })
    expect(begun()).toBe(0)
  })
})

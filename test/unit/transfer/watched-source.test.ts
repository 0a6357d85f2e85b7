import { describe, expect, test } from 'vitest'
import { createTransfers } from '../../../src/peers/transfers.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { RegistrySource } from '../../../src/transfer/registry-source.ts'
import { createWatchedSource } from '../../../src/transfer/watched-source.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const HUB = 'hub' as NodeName
const BLOB = digestNamed('blob')
const options = { offset: 0, signal: new AbortController().signal }

function setUp(blob: RegistrySource['blob']) {
  const transfers = createTransfers({ clock: createFakeClock() })
  const manifest: RegistrySource['manifest'] = async () => ({ kind: 'absent' })
  return { transfers, source: createWatchedSource({ manifest, blob }, transfers) }
}

describe('transfer / watched-source', () => {
  test('a transfer is listed while its body comes, with the bytes so far, and not after', async () => {
    const { transfers, source } = setUp(async () => ({
      kind: 'blob',
      offset: 0,
      body: (async function* () {
        yield new Uint8Array(3)
        yield new Uint8Array(4)
      })(),
    }))
    const answer = await source.blob(HUB, repo('app'), BLOB, options)
    const seen: number[] = []
    if (answer.kind === 'blob') {
      for await (const _chunk of answer.body) seen.push(transfers.list()[0]?.bytes ?? -1)
    }
    expect(seen).toEqual([3, 7])
    expect(transfers.list()).toEqual([])
  })

  test('it begins with the question, and ends when the answer is no, a fault, or given up', async () => {
    const gate = Promise.withResolvers<{ kind: 'absent' }>()
    const { transfers, source } = setUp(() => gate.promise)
    const asked = source.blob(HUB, repo('app'), BLOB, options)
    expect(transfers.list()).toEqual([
      {
        node: HUB,
        repository: repo('app'),
        digest: BLOB,
        sinceMs: START_MS,
        bytes: 0,
        bytesPerSecond: 0,
      },
    ])
    gate.resolve({ kind: 'absent' })
    await asked
    expect(transfers.list()).toEqual([])

    const faulty = setUp(() => Promise.reject(new Error('aborted')))
    await expect(faulty.source.blob(HUB, repo('app'), BLOB, options)).rejects.toThrow('aborted')
    expect(faulty.transfers.list()).toEqual([])

    const endless = setUp(async () => ({
      kind: 'blob',
      offset: 0,
      body: (async function* () {
        for (;;) yield new Uint8Array(1)
      })(),
    }))
    const answer = await endless.source.blob(HUB, repo('app'), BLOB, options)
    if (answer.kind === 'blob') for await (const _chunk of answer.body) break
    expect(endless.transfers.list()).toEqual([])
  })
})

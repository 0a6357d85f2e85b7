import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { type Attempt, summarize } from '../../../src/transfer/attempts.ts'
import { pullManifest } from '../../../src/transfer/pull-manifest.ts'
import type { ManifestAnswer, Refused } from '../../../src/transfer/registry-source.ts'
import { makeImage } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const image = makeImage('image')
const { signal } = new AbortController()

function pull(holders: Readonly<Record<string, ManifestAnswer | Refused>>, digest = image.digest) {
  const attempts: Attempt[] = []
  const source = {
    manifest: async (node: NodeName) => holders[node] ?? { kind: 'absent' as const },
    blob: async () => ({ kind: 'absent' as const }),
  }
  const sources = Object.keys(holders) as NodeName[]
  const result = pullManifest(
    { source, onAttempt: (attempt) => attempts.push(attempt) },
    { repository: repo('app'), digest, sources },
    { signal },
  )
  return result.then((outcome) => ({ outcome, attempts }))
}

const good: ManifestAnswer = { kind: 'manifest', bytes: image.bytes, mediaType: image.mediaType }

describe('transfer / pull-manifest', () => {
  test('the first holder with the right bytes gives the manifest, and the others before it are told of', async () => {
    const { outcome, attempts } = await pull({
      a: { kind: 'absent' },
      b: { kind: 'unreachable', reason: 'refused' },
      c: { ...good, bytes: Buffer.from('{}') },
      d: good,
      e: { kind: 'absent' },
    })
    expect(outcome).toMatchObject({ kind: 'pulled', bytes: image.bytes })
    expect(attempts.map(({ node, outcome: how }) => `${node} ${how}`)).toEqual([
      'a absent',
      'b unreachable',
      'c corrupt',
    ])
  })

  test('right bytes under a type that is not theirs are corrupt', async () => {
    const { outcome } = await pull({ a: { ...good, mediaType: 'text/html' } })
    expect(outcome).toMatchObject({ kind: 'failed' })
  })

  test('a holder that does not say the type is believed by the document', async () => {
    const { outcome } = await pull({ a: { ...good, mediaType: undefined } })
    expect(outcome).toMatchObject({ kind: 'pulled', manifest: { mediaType: image.mediaType } })
  })

  test('a sha512 is verified as one', async () => {
    const digest = digestOf(image.bytes, 'sha512')
    expect((await pull({ a: good }, digest)).outcome.kind).toBe('pulled')
  })
})

describe('transfer / attempts', () => {
  const attempt = (outcome: Attempt['outcome']): Attempt => ({
    node: 'a' as NodeName,
    repository: repo('app'),
    digest: image.digest,
    outcome,
    reason: outcome,
  })

  test('nobody to ask, nobody has it, and somebody may have it are three things', () => {
    expect(summarize([])).toMatchObject({ kind: 'no-holder', askedAll: false })
    expect(summarize([attempt('absent'), attempt('absent')])).toMatchObject({
      kind: 'no-holder',
      askedAll: true,
      reason: 'a: absent; a: absent',
    })
    for (const outcome of ['unreachable', 'corrupt'] as const) {
      expect(summarize([attempt('absent'), attempt(outcome)]).kind).toBe('failed')
    }
  })
})

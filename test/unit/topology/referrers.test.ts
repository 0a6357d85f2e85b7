import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Reference, RepositoryName, Tag } from '../../../src/oci/name.ts'
import { flow, type Naming } from '../../../src/topology/flow.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const REPOSITORY = 'team/app' as RepositoryName
const hexOf = (digit: string) => digit.repeat(64)
const digest = (digit: string) => `sha256:${hexOf(digit)}` as Digest
const IMAGE = digest('1')
const SBOM = digest('2')
const SIGNATURE = digest('3')

/** Tags by the digest that they show. */
function naming(tags: Readonly<Record<Digest, readonly string[]>>): Naming {
  return {
    tagsNaming: async function* (_repository, about) {
      yield* (tags[about] ?? []) as readonly Tag[]
    },
  }
}

/** What a reader who writes nothing gets of releases, tags v1, v2, ... */
function releases({ untagged = false } = {}) {
  const topology = topologyWith({
    policies: `{ all: { match: { repos: ["team/**"], tags: { include: ["v*"], exclude: ["*-rc*"] } }, mode: eager, untagged: ${untagged} } }`,
  })
  const filter = flow(topology, nodeName('a'), nodeName('b'))
  return (reference: string, tags: Readonly<Record<Digest, readonly string[]>>, subject?: Digest) =>
    filter.passes(
      {
        repository: REPOSITORY,
        reference: reference as Reference,
        ...(subject === undefined ? {} : { subject }),
      },
      naming(tags),
    )
}

describe('topology / referrers', () => {
  test('a referrer goes where a tag of its subject goes', async () => {
    const passes = releases()
    expect(await passes(SIGNATURE, { [IMAGE]: ['latest', 'v1'] }, IMAGE)).toBe(true)
    expect(await passes(SIGNATURE, { [IMAGE]: ['latest', 'v1-rc1'] }, IMAGE)).toBe(false)
    expect(await passes(SIGNATURE, {}, IMAGE)).toBe(false)
  })

  test.each(['', '.sig', '.att'])('so does a fallback tag that ends in "%s"', async (suffix) => {
    const passes = releases()
    const tag = `sha256-${hexOf('1')}${suffix}`
    expect(await passes(tag, { [IMAGE]: ['v1'] })).toBe(true)
    expect(await passes(tag, { [IMAGE]: ['main'] })).toBe(false)
  })

  test('the signature of an SBOM follows the image through two fallback tags', async () => {
    const passes = releases()
    const names = { [SBOM]: [`sha256-${hexOf('1')}.sbom`], [IMAGE]: ['v1'] }
    expect(await passes(`sha256-${hexOf('2')}.sig`, names)).toBe(true)
    expect(await passes(`sha256-${hexOf('2')}.sig`, { ...names, [IMAGE]: ['main'] })).toBe(false)
  })

  test('fallback tags that name each other in a circle pass nothing, and end', async () => {
    const passes = releases()
    const circle = { [SBOM]: [`sha256-${hexOf('1')}`], [IMAGE]: [`sha256-${hexOf('2')}`] }
    expect(await passes(`sha256-${hexOf('1')}`, circle)).toBe(false)
  })

  test('a tag that only looks like a fallback tag is a tag', async () => {
    const passes = releases()
    expect(await passes(`sha256-${hexOf('1').slice(1)}`, { [IMAGE]: ['v1'] })).toBe(false)
  })

  test('a manifest by digest passes where the policy says untagged, with what is about it', async () => {
    expect(await releases()(IMAGE, { [IMAGE]: ['v1'] })).toBe(false)
    const passes = releases({ untagged: true })
    expect(await passes(IMAGE, {})).toBe(true)
    expect(await passes(SIGNATURE, {}, IMAGE)).toBe(true)
    expect(await passes(`sha256-${hexOf('1')}.sig`, {})).toBe(true)
    expect(await passes('main', {})).toBe(false)
  })
})

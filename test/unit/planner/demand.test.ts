import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import { createPlanner, isSettled } from '../../../src/planner/planner.ts'
import type { RecordKey } from '../../../src/record/tag-record.ts'
import type { Held } from '../../../src/storage/index-tables.ts'
import type { Entry } from '../../../src/storage/ledger.ts'
import type { Demand } from '../../../src/topology/demand.ts'
import { createSchedule } from '../../../src/topology/schedule.ts'
import type { Platforms } from '../../../src/topology/topology.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const KEY: RecordKey = { repository: repo('app'), reference: ref('v1') }
const image = digestNamed('image')
const put = createWriter('hub').put([], { ...KEY, digest: image })
const [ARM, AMD] = ['linux/arm64', 'linux/amd64']
const NIGHT = createSchedule({ cron: '0 1 * * *', window: 3_600_000, tz: 'UTC' })

interface World {
  readonly demand?: Partial<Demand>
  readonly coverage?: Held['coverage']
  /** What of the image is here. */
  readonly here?: readonly string[]
  readonly isAsked?: boolean
  /** Of the manifest, where the key is its digest. */
  readonly childOf?: readonly (string | undefined)[]
  readonly kept?: readonly Digest[]
}

function planIn({ demand, coverage, here = [], isAsked = false, childOf }: World) {
  const key: RecordKey = childOf === undefined ? KEY : { ...KEY, reference: image }
  const entry: Entry = {
    key,
    number: 1,
    history: [put],
    ...(coverage === undefined ? {} : { held: { digest: image, coverage } }),
  }
  const planner = createPlanner({
    inventory: {
      entry: () => entry,
      isComplete: (_repository, _digest, platforms: Platforms) =>
        platforms !== 'all' && platforms.every((one) => here.includes(one)),
      platformsOf: () => childOf ?? [],
      askedOf: (_key, digest) => (isAsked && digest === image ? 'all' : undefined),
    },
    demands: {
      of: async () => demand && { priority: 7, policies: [], ...demand },
    },
    naming: { tagsNaming: async function* () {} },
    loserTags: { of: () => [] },
    isWriter: () => false,
    deletes: { of: async () => undefined },
  })
  return planner.plan(key)
}

describe('planner / demand', () => {
  test.each<[string, World, object]>([
    [
      'some platforms are wanted and nothing is here',
      { demand: { held: [ARM] } },
      { kind: 'pull', platforms: [ARM], priority: 7 },
    ],
    [
      'what is here covers them',
      { demand: { held: [ARM] }, coverage: [AMD, ARM], here: [AMD, ARM] },
      { reason: 'already-here' },
    ],
    [
      'the set has grown',
      { demand: { held: [AMD, ARM] }, coverage: [ARM], here: [ARM] },
      { kind: 'pull', platforms: [AMD, ARM] },
    ],
    [
      'the set has shrunk',
      { demand: { held: [ARM] }, coverage: [AMD, ARM], here: [AMD, ARM] },
      { reason: 'already-here' },
    ],
    [
      'all are wanted now',
      { demand: { held: 'all' }, coverage: [ARM], here: [ARM] },
      { kind: 'pull', platforms: 'all' },
    ],
    [
      'all of it is here, by another tag',
      { demand: { held: [ARM] }, here: [ARM] },
      { kind: 'show', platforms: [ARM] },
    ],
    [
      'a part that is claimed is not here any more',
      { demand: { held: [ARM] }, coverage: [ARM] },
      { kind: 'pull', platforms: [ARM] },
    ],
    [
      'sparse content of a writer is no content',
      { demand: { held: [ARM] }, coverage: [], here: [] },
      { kind: 'pull' },
    ],
    [
      'it comes on request',
      { demand: { onRequest: 'all', onWord: 'all' } },
      { reason: 'on-request' },
    ],
    ['it comes at a word', { demand: { onWord: 'all' } }, { reason: 'on-word' }],
    [
      'what came at a word stays',
      { demand: { onWord: 'all' }, coverage: [ARM], here: [ARM] },
      { reason: 'already-here' },
    ],
    [
      'a tag does not move without a word, although its image is here',
      { demand: { onWord: [ARM] }, here: [ARM] },
      { reason: 'on-word' },
    ],
    [
      'the word was given',
      { demand: { onWord: [ARM] }, isAsked: true },
      { kind: 'pull', platforms: [ARM] },
    ],
    [
      'the word was given for what is held in part',
      { demand: { held: [ARM], onWord: 'all' }, coverage: [ARM], here: [ARM], isAsked: true },
      { kind: 'pull', platforms: 'all' },
    ],
    [
      'it may come at night',
      { demand: { held: 'all', windows: [NIGHT] } },
      { kind: 'pull', windows: [NIGHT] },
    ],
    [
      'a child that was pushed by digest, of a platform that is not held',
      { demand: { held: [ARM] }, childOf: [AMD] },
      { reason: 'other-platform' },
    ],
    [
      'the same of a platform that is',
      { demand: { held: [ARM] }, childOf: ['linux/arm64/v8'] },
      { kind: 'pull' },
    ],
    [
      'a child of which an index says no platform',
      { demand: { held: [ARM] }, childOf: [AMD, undefined] },
      { kind: 'pull' },
    ],
    ['a manifest of no index', { demand: { held: [ARM] }, childOf: [] }, { kind: 'pull' }],
    ['nobody brings it', {}, { reason: 'not-wanted' }],
  ])('%s', async (_, world, expected) => {
    expect(await planIn(world)).toMatchObject(expected)
  })

  test('a word does not wait for a window', async () => {
    const plan = await planIn({ demand: { held: 'all', windows: [NIGHT] }, isAsked: true })
    expect(plan).not.toHaveProperty('windows')
  })

  test('only what is whole is settled without a look at what is asked for', () => {
    const held = (coverage: Held['coverage']) => ({
      history: [put],
      held: { digest: image, coverage },
    })
    expect(isSettled(held('all'))).toBe(true)
    expect(isSettled(held([ARM]))).toBe(false)
    expect(isSettled(held([]))).toBe(false)
  })
})

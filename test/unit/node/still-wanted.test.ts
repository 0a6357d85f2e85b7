import { describe, expect, test } from 'vitest'
import { createStillWanted } from '../../../src/node/still-wanted.ts'
import type { Reference } from '../../../src/oci/name.ts'
import type { Job } from '../../../src/queue/job.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const image = digestNamed('image')
const TOPOLOGY = topologyWith({
  nodes: '{ fra: {}, iad: {}, nrt: {} }',
  origins: '[{ repos: ["**"], writers: "*", conflict: { tags: register, resolve: hlc-lww } }]',
  links: '[{ shape: mesh, members: "*", policies: [all] }]',
})

/** `down`: sources that cannot be asked. */
function askAbout(
  references: readonly Reference[],
  {
    vainTries = 0,
    down = [],
    digest = image,
    asked = [],
  }: {
    readonly vainTries?: number
    readonly down?: readonly string[]
    readonly digest?: typeof image
    readonly asked?: readonly Reference[]
  } = {},
): boolean {
  const isStillWanted = createStillWanted({
    topology: TOPOLOGY,
    self: 'fra' as NodeName,
    ledger: {
      entry: (key) => ({
        key,
        number: 1,
        history: [createWriter('iad').put([], { ...key, digest })],
      }),
    },
    neighbours: { isUp: (node) => !down.includes(node) },
    dispatcher: { isAsked: ({ reference }) => asked.includes(reference) },
  })
  const job = { repository: REPO, digest: image, references: new Set(references), vainTries }
  return isStillWanted(job as unknown as Job)
}

/**
 * A second writer learnt by digest of a part of an image that was replaced before any relay had fetched it. Nobody had it
 * any more, and its job waited for ever.
 */
describe('node / still-wanted', () => {
  test('a manifest by digest is looked for a few times, and then given up until somebody has it', () => {
    expect(askAbout([image], { vainTries: 2 })).toBe(true)
    expect(askAbout([image], { vainTries: 3 })).toBe(false)
  })

  test('as long as a source cannot be asked, nothing is given up', () => {
    expect(askAbout([image], { vainTries: 99, down: ['nrt'] })).toBe(true)
  })

  test('a tag is waited for as long as its newest record names the image', () => {
    expect(askAbout([ref('v1')], { vainTries: 99 })).toBe(true)
    expect(askAbout([image, ref('v1')], { vainTries: 99 })).toBe(true)
    expect(askAbout([ref('v1')], { digest: digestNamed('newer') })).toBe(false)
  })

  test('the tag of a loser is wanted as long as its conflict stands', () => {
    const loser = ref('v1--iad')
    expect(askAbout([loser], { asked: [loser], digest: digestNamed('other') })).toBe(true)
  })
})

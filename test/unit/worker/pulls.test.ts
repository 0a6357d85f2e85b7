import { describe, expect, test } from 'vitest'
import type { Plan } from '../../../src/planner/planner.ts'
import { createAsked } from '../../../src/storage/asked.ts'
import { createPulls } from '../../../src/worker/pulls.ts'
import { makeImage } from '../../helpers/images.ts'
import { copyOf, openStorage } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const KEY = { repository: repo('app'), reference: ref('v1') }
const image = makeImage('image')
const { digest } = image

async function setUp(plan: Plan) {
  const rig = await openStorage({ writer: 'edge' })
  const acts: string[] = []
  const asked = createAsked({ index: rig.index })
  const pulls = createPulls({
    planner: {
      plan: async (_key, { asked: all } = {}) => {
        acts.push(`plan ${String(all)}`)
        return plan
      },
    },
    asked,
    queue: {
      add: ({ key }) => void acts.push(`add ${key.reference}`),
      retry: (id) => acts.push(`retry ${id}`) > 0,
    },
    dispatcher: { consider: ({ reference }) => void acts.push(`consider ${reference}`) },
  })
  return { rig, pulls, asked, acts }
}

const PULL: Plan = { kind: 'pull', key: KEY, digest, recordId: 'r' }
const JOB = `app@${digest}`

describe('worker / pulls', () => {
  test('a word is noted before the job runs, and a job that waits is tried at once', async () => {
    const { pulls, asked, acts } = await setUp(PULL)
    expect(await pulls.ask(KEY)).toEqual({ kind: 'asked', digest, job: JOB })
    expect(asked.of(KEY, digest)).toBe('all')
    expect(acts).toEqual(['plan all', 'add v1', 'consider v1', `retry ${JOB}`])
  })

  test('what is here already, or cannot come, is refused, and nothing is noted', async () => {
    for (const reason of ['already-here', 'unknown', 'not-wanted', 'other-platform'] as const) {
      const { pulls, asked } = await setUp({ kind: 'refusal', key: KEY, reason })
      expect(await pulls.ask(KEY)).toEqual({ kind: 'refused', reason })
      expect(asked.of(KEY, digest)).toBe(undefined)
    }
    const { pulls } = await setUp({ kind: 'drop', key: KEY })
    expect(await pulls.ask(KEY)).toEqual({ kind: 'refused', reason: 'deleted-at-origin' })
  })
})

describe('storage / asked', () => {
  const hub = createWriter('hub')
  const put = hub.put([], { ...KEY, digest })

  test('a word outlives a restart, and ends when the image is shown', async () => {
    const { rig, asked } = await setUp(PULL)
    await rig.index.transact((tx) => rig.ledger.add(tx, put))
    await asked.ask(KEY, digest)
    await asked.settle(KEY)
    const backend = await copyOf(rig.backend)
    const again = await openStorage({ writer: 'edge', backend, disk: rig.disk, epoch: 'epoch-2' })
    const later = createAsked({ index: again.index })
    expect(later.of(KEY, digest)).toBe('all')
    const manifest = { mediaType: image.mediaType, manifests: [], blobs: [] }
    await again.content.commitPulled({
      repository: KEY.repository,
      manifests: [{ digest, bytes: image.bytes, manifest }],
      references: [KEY.reference],
    })
    expect(later.of(KEY, digest)).toBe(undefined)
  })

  test('newer news makes it void, and another digest was never asked for', async () => {
    const { rig, asked } = await setUp(PULL)
    await rig.index.transact((tx) => rig.ledger.add(tx, put))
    await asked.ask(KEY, digest)
    expect(asked.of(KEY, digestNamed('newer'))).toBe(undefined)
    const newer = hub.put([put], { ...KEY, digest: digestNamed('newer') })
    await rig.index.transact((tx) => rig.ledger.add(tx, newer))
    await asked.settle(KEY)
    const back = hub.put([newer], { ...KEY, digest })
    await rig.index.transact((tx) => rig.ledger.add(tx, back))
    expect(asked.of(KEY, digest)).toBe(undefined)
  })
})

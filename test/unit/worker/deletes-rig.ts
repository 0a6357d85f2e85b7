/** A node that holds what another one writes, over storage in memory: pushes and deletes arrive, and its own word is the policy's. */
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { createDeleteRules } from '../../../src/planner/delete-rule.ts'
import { visibleOf } from '../../../src/record/history.ts'
import { createDeleteRows } from '../../../src/storage/delete-rows.ts'
import type { IndexBackend } from '../../../src/storage/index-db.ts'
import { tagsNaming } from '../../../src/storage/naming.ts'
import { demandsOf } from '../../../src/topology/demand.ts'
import { createDueKeys } from '../../../src/worker/due-keys.ts'
import { createOriginDeletes } from '../../../src/worker/origin-deletes.ts'
import type { FakeClock } from '../../helpers/fake-clock.ts'
import { makeImage, type TestManifest } from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'
import { ref, repo } from '../../helpers/writers.ts'

export const APP = repo('app')
export const NEVER = new AbortController().signal

export interface DeletesRigOptions {
  /** Of the policy: what stands behind `deletes:`. */
  readonly deletes?: string
  readonly untagged?: boolean
  readonly clock?: FakeClock
  readonly backend?: IndexBackend
  readonly epoch?: string
}

export async function openDeletes({
  deletes = '{ propagate: true }',
  untagged = false,
  ...storage
}: DeletesRigOptions = {}) {
  const rig = await openStorage(storage)
  const { index, ledger, content, clock, events, signer, happened } = rig
  const topology = topologyWith({
    policies: `{ all: { match: { repos: ["**"] }, mode: eager, untagged: ${untagged}, deletes: ${deletes} } }`,
  })
  const naming = { tagsNaming: tagsNaming.bind(undefined, index) }
  const rules = createDeleteRules({ demands: demandsOf(topology, nodeName('b')), naming })
  const rows = createDeleteRows({ index })
  const origin = createOriginDeletes({ ledger, rules, rows, content, nowMs: clock.now })
  const dueKeys = createDueKeys({
    deletes: origin,
    events,
    clock,
    nowMs: clock.now,
    hasHeardAll: () => true,
    logger: silentLogger,
  })

  return {
    ...rig,
    rows,
    rules,
    origin,
    dueKeys,
    apply: () => origin.apply(APP, { signal: NEVER }),
    /** A tag and its image come. */
    push: async (tag: string, image: TestManifest = makeImage(tag, { layers: 1 })) => {
      await push(rig, APP, tag, image)
      return image
    },
    /** The delete of a reference becomes known here. */
    hear: async (reference: string) => {
      const key = { repository: APP, reference: ref(reference) }
      const history = ledger.entry(key)?.history ?? []
      const subject = visibleOf(history)?.record.subject
      const what = {
        kind: 'delete',
        ...key,
        ...(subject === undefined ? {} : { subject }),
      } as const
      await index.transact((tx) => ledger.add(tx, signer.sign(what, history)))
    },
    tags: () => content.tags(APP, { limit: 1_000 }),
    has: (digest: Digest) => content.isComplete(APP, digest),
    statesOf: async () => {
      const { deletes: found } = await origin.of(APP)
      return Object.fromEntries(found.map(({ reference, state }) => [reference, state]))
    },
    heldUpEvents: () => happened.filter(({ kind }) => kind === 'deletes-held-up'),
  }
}

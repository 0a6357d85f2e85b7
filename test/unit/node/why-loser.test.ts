import { describe, expect, test } from 'vitest'
import { findLoser } from '../../../src/node/loser-of-tag.ts'
import { judgeLoser } from '../../../src/node/why-loser.ts'
import type { History } from '../../../src/record/history.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'
import { digestNamed, identityNamed, recordBy, ref, repo } from '../../helpers/writers.ts'

const [FRA, IAD] = [identityNamed('fra'), identityNamed('iad')]
const RULE = 'tags: register, resolve: hlc-lww'
const TOPOLOGY = topologyWith({
  nodes: `{ fra: { endpoint: "http://fra:1", peerId: ${FRA.peerId} }, iad: { endpoint: "http://iad:1", peerId: ${IAD.peerId} } }`,
  origins: `[{ repos: ["kept/**"], writers: "*", conflict: { ${RULE}, keep: losers-as-suffixed-tag } }, { repos: ["**"], writers: "*", conflict: { ${RULE} } }]`,
  links: '[{ shape: mesh, members: "*", policies: [all] }]',
})
const LOST = digestNamed('lost')
const TAG = 'v1--iad-20260101T000000.000Z'

/** Of `v1`, fought over by two. */
function historyIn(repository: string, isSettled: boolean): History {
  const key = { repository: repo(repository), reference: ref('v1') }
  const won = recordBy(FRA, { ...key, digest: digestNamed('won'), time: timeOfMs(START_MS + 1) })
  const lost = recordBy(IAD, { ...key, digest: LOST, time: timeOfMs(START_MS) })
  return isSettled ? [won] : [won, lost]
}

function findIn(repository: string, { tag = TAG, isSettled = false } = {}) {
  const history = historyIn(repository, isSettled)
  const deps = {
    topology: TOPOLOGY,
    index: { get: () => undefined },
    ledger: {
      entry: (key: { readonly reference: string }) =>
        key.reference === 'v1' ? { key: key as never, number: 1, history } : undefined,
    },
  }
  return findLoser(deps, { repository: repo(repository), reference: ref(tag) })
}

const told = (loser: ReturnType<typeof findIn>, held?: typeof LOST) => {
  if (loser === undefined) throw new Error('no loser was found')
  const key = { repository: repo('kept/app'), reference: ref(TAG) }
  const found = { self: nodeName('iad'), key, held, heldSinceMs: START_MS } as never
  return judgeLoser(found, loser, TOPOLOGY)
}

describe('node / why-loser', () => {
  test('of a loser it is said whose push lost against which, and how to keep it', () => {
    const [verdict, sentence] = told(findIn('kept/app'), LOST)
    expect(verdict).toBe('held')
    expect(sentence).toMatch(
      /^iad serves kept\/app:v1--iad-\S+: the push of kept\/app:v1 \(put .* by iad at 2026-01-01T00:00:00.000Z\) that lost to a concurrent one \(put .* by fra at 2026-01-01T00:00:00.001Z\); here since/,
    )
    expect(sentence).toContain(
      `It goes when somebody pushes or deletes kept/app:v1; to keep it give ${LOST} a tag of its own at fra (http://fra:1) or iad`,
    )
    expect(told(findIn('kept/app'))[0]).toBe('settling')
  })

  test('of one that was settled it is said why it is gone', () => {
    expect(told(findIn('kept/app', { isSettled: true }))).toEqual([
      'deleted',
      `kept/app:${TAG} was a push of kept/app:v1 that lost to a concurrent one, until somebody pushed or deleted kept/app:v1.`,
    ])
  })

  test('a tag that only looks like it is no loser', () => {
    expect(findIn('other/app')).toBeUndefined()
    expect(findIn('kept/app', { tag: 'v1--rc1' })).toBeUndefined()
    expect(findIn('kept/app', { tag: 'v2--iad-20260101T000000.000Z' })).toBeUndefined()
    expect(findIn('kept/app', { tag: 'v1' })).toBeUndefined()
  })
})

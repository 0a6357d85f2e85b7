import { describe, expect, test } from 'vitest'
import type { ConvergenceView } from '../../../src/admin/convergence-view.ts'
import { isProven, judgeRound, waitsOf, waitTexts } from '../../../src/cli/convergence-verdict.ts'
import type { Answer } from '../../../src/cli/mesh-nodes.ts'

type Change = Partial<ConvergenceView>

const NO_JOBS = { open: 0, waitingForWindow: 0, paused: 0, held: 0 }

function view(node: string, head: number, change: Change = {}): ConvergenceView {
  return {
    node,
    nowMs: 100_000,
    generation: 1,
    topologyHash: 'hash',
    isReady: true,
    feed: { epoch: `epoch of ${node}`, head },
    isScanning: false,
    waitingKeys: 0,
    jobs: NO_JOBS,
    damagedBlobs: 0,
    lag: [],
    neighbours: [],
    readers: [],
    ...change,
  }
}

/** The neighbour `hub`, read so far. */
function hubRead(through: number, head = through, state: 'up' | 'down' = 'up') {
  const read = { epoch: 'epoch of hub', through, head, atMs: 0 }
  return [{ name: 'hub', state, sinceMs: 0, isSource: true, isNeeded: true, read }]
}

const reached = (one: ConvergenceView): Answer<ConvergenceView> => ({
  kind: 'reached',
  node: one.node,
  view: one,
})

function judge(hub: Change | undefined, edge: Change, hubHead = 5) {
  const first: Answer<ConvergenceView> =
    hub === undefined
      ? { kind: 'unreached', node: 'hub', reason: 'down' }
      : reached(view('hub', hubHead, hub))
  return judgeRound([first, reached(view('edge', 3, edge))])
}

const problemsOf = (round: ReturnType<typeof judge>) => Object.fromEntries(round.problems)

describe('cli / convergence-verdict: one look', () => {
  test('nodes without anything to do that have read their sources to the end have no problems', () => {
    expect(problemsOf(judge({}, { neighbours: hubRead(5) }))).toEqual({})
  })

  test.each<[string, Change, RegExp]>([
    ['starts', { isReady: false }, /starting/],
    ['scans', { isScanning: true }, /looks through/],
    ['has news', { waitingKeys: 2 }, /2 news/],
    [
      'has jobs',
      { jobs: { ...NO_JOBS, open: 3, oldestMs: 40_000 } },
      /3 transfers open, the oldest 1m/,
    ],
    ['has a job on hold', { jobs: { ...NO_JOBS, held: 1 } }, /held by a person/],
    [
      'waits for a window',
      {
        jobs: { ...NO_JOBS, open: 2, waitingForWindow: 2, windowOpensMs: Date.UTC(2026, 0, 2, 1) },
      },
      /^2 transfers wait for their window \(next opens 2026-01-02T01:00:00.000Z\)$/,
    ],
    [
      'waits for a window that never opens',
      { jobs: { ...NO_JOBS, open: 1, waitingForWindow: 1 } },
      /^1 transfer waits for its window \(it never opens again\)$/,
    ],
    [
      'is paused',
      { jobs: { ...NO_JOBS, open: 2, paused: 2 } },
      /^2 transfers are paused \(`entrepot jobs pauses`\)$/,
    ],
    ['has damage', { damagedBlobs: 1 }, /1 damaged/],
  ])('a node that %s is behind', (_what, change, expected) => {
    const found = problemsOf(judge({}, { neighbours: hubRead(5), ...change }))
    expect(Object.keys(found)).toEqual(['edge'])
    expect(found.edge?.join()).toMatch(expected)
  })

  test('what waits for a window, and what is paused, is told of all nodes together', () => {
    const jobs = { ...NO_JOBS, open: 4, paused: 1 }
    const round = judge(
      { jobs: { ...jobs, waitingForWindow: 2, windowOpensMs: 7_000 } },
      { jobs: { ...jobs, waitingForWindow: 3, windowOpensMs: 5_000 } },
    )
    expect(waitsOf(round)).toEqual({ waitingForWindow: 5, windowOpensMs: 5_000, paused: 2 })
    expect(waitTexts(waitsOf(round))).toHaveLength(2)
    expect(waitTexts(waitsOf(judge(undefined, {})))).toEqual([])
  })

  test('a node that has not read its source to the end that the source tells is behind, whatever it believes', () => {
    expect(problemsOf(judge({}, { neighbours: hubRead(4) })).edge).toEqual([
      'it has read hub to 4 of 5',
    ])
    expect(problemsOf(judge({}, { neighbours: hubRead(4, 4, 'down') })).edge?.[0]).toMatch(
      /no link to its source hub since 1970/,
    )
    const never = [
      { name: 'hub', state: 'up' as const, sinceMs: 0, isSource: true, isNeeded: true },
    ]
    expect(problemsOf(judge({}, { neighbours: never })).edge).toEqual(['it has read hub to 0 of 5'])
  })

  test('another epoch of the source means that what was read says nothing', () => {
    const round = judge({ feed: { epoch: 'another', head: 5 } }, { neighbours: hubRead(5) })
    expect(round.problems.has('edge')).toBe(true)
  })

  test('what a source knows to be of no concern to a reader that waits counts as read', () => {
    const at = (through: number, isWaiting: boolean) => ({
      readers: [{ node: 'edge', through, atMs: 0, isWaiting }],
    })
    const edge = { neighbours: hubRead(2) }
    expect(problemsOf(judge(at(5, true), edge))).toEqual({})
    expect(judge(at(5, false), edge).problems.has('edge')).toBe(true)
    expect(judge(at(4, true), edge).problems.has('edge')).toBe(true)
    // It came back with an empty disk and reads anew: that its former self waited says nothing.
    expect(judge(at(5, true), { neighbours: hubRead(1, 4) }).problems.has('edge')).toBe(true)
  })

  test('of a source that is not reached counts what it said to the reader', () => {
    expect(problemsOf(judge(undefined, { neighbours: hubRead(5) }))).toEqual({})
    expect(judge(undefined, { neighbours: hubRead(4, 5) }).problems.has('edge')).toBe(true)
    // News that only it could have passed on may be at others.
    const cut = { neighbours: hubRead(5, 5, 'down') }
    expect(problemsOf(judge(undefined, cut)).edge?.[0]).toMatch(/no link to its source hub/)
    // A writer that is alone reads back from it, and nothing new comes that way.
    const alone = { neighbours: cut.neighbours.map((row) => ({ ...row, isNeeded: false })) }
    expect(problemsOf(judge(undefined, alone))).toEqual({})
    const edge = reached(view('edge', 3, cut))
    expect(judgeRound([edge], new Set(['hub'])).problems.size).toBe(0)
  })

  test('a neighbour that sends nothing need not be read', () => {
    const leaf = [
      { name: 'hub', state: 'down' as const, sinceMs: 0, isSource: false, isNeeded: false },
    ]
    expect(problemsOf(judge({}, { neighbours: leaf }))).toEqual({})
  })

  test('nodes that run different topologies are behind: the older one, or both', () => {
    const edge = { neighbours: hubRead(5) }
    expect(Object.keys(problemsOf(judge({ generation: 2 }, edge)))).toEqual(['edge'])
    expect(Object.keys(problemsOf(judge({ topologyHash: 'other' }, edge)))).toEqual(['hub', 'edge'])
  })
})

describe('cli / convergence-verdict: two looks', () => {
  const good = (head: number) => judge({}, { neighbours: hubRead(head) }, head)

  test('two looks in which nothing moved prove it', () => {
    expect(isProven(good(5), good(5))).toBe(true)
  })

  test('a feed that moved between them proves nothing: the news may be on its way', () => {
    expect(isProven(good(5), good(6))).toBe(false)
  })

  test('a node that was behind in either, restarted, or answered only once proves nothing', () => {
    const behind = judge({}, { neighbours: hubRead(4) })
    expect(isProven(behind, good(5))).toBe(false)
    expect(isProven(good(5), behind)).toBe(false)
    const gone = judge(undefined, { neighbours: hubRead(5) })
    expect(isProven(good(5), gone)).toBe(false)
    const restarted = judgeRound([
      reached(view('hub', 5)),
      reached(view('edge', 3, { neighbours: hubRead(5), feed: { epoch: 'new', head: 3 } })),
    ])
    expect(isProven(good(5), restarted)).toBe(false)
  })
})

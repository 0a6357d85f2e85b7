import { describe, expect, test } from 'vitest'
import { createJobBoard } from '../../../src/cli/job-board.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { changed, jobView, snapshot } from './job-views.ts'

const SIZE = { width: 200, height: 20, now: START_MS }
const running = jobView('v1', {
  state: 'running',
  phase: 'blobs',
  bytesDone: 5_000_000,
  bytesTotal: 10_000_000,
  bytesPerSecond: 1_000_000,
  from: ['hub', 'eu'],
})

describe('cli / job-board', () => {
  test('a running job shows how much is there, how fast, how long yet, and from whom', () => {
    const board = createJobBoard(() => true)
    board.take(snapshot([running]))
    const [head, line = ''] = board.lines(SIZE)
    expect(head).toBe('edge: 1 running, 0 queued, 0 waiting, 0 held, 0 ended since; 1.0 MB/s')
    expect(line).toContain(`[${'#'.repeat(12)}${'.'.repeat(12)}] 5.0 MB of 10.0 MB`)
    expect(line).toContain('1.0 MB/s 5s from hub, eu')
    expect(line).toMatch(/^app:v1 +\[/)
  })

  test('running jobs come first, then by priority, and what has no room is counted', () => {
    const board = createJobBoard(() => true)
    const waiting = jobView('v2', {
      state: 'waiting',
      reason: 'nobody',
      nextTryAtMs: START_MS + 9_000,
    })
    board.take(snapshot([jobView('low'), waiting, jobView('high', { priority: 2 }), running]))
    const names = board.lines(SIZE).map((line) => line.split(' ')[0])
    expect(names.slice(1)).toEqual(['app:v1', 'app:high', 'app:low', 'app:v2'])
    expect(board.lines(SIZE).at(-1)).toContain('waiting 9s nobody')
    const few = board.lines({ ...SIZE, height: 4 })
    expect(few).toHaveLength(4)
    expect(few.at(-1)).toBe('and 2 more')
  })

  test('no line is longer than the screen, and nothing steers the terminal', () => {
    const board = createJobBoard(() => true)
    board.take(
      snapshot([jobView('v1', { state: 'waiting', reason: `\u001b[2J${'x'.repeat(300)}` })]),
    )
    for (const line of board.lines({ ...SIZE, width: 60 })) {
      expect(line.length).toBeLessThanOrEqual(60)
      expect(line).not.toMatch(/\p{Cc}/u)
    }
  })

  test('a reader without a screen is told of each change of state once, not of progress', () => {
    const board = createJobBoard(() => true)
    const told = [snapshot([running]), changed({ ...running, bytesDone: 6_000_000 })].map(
      board.take,
    )
    expect(told).toEqual([['edge: 1 open jobs', expect.stringMatching(/running .*v1$/)], []])
    const done = { ...running, state: 'done', bytesDone: 10_000_000 } as const
    expect(board.take(changed(done))).toEqual([expect.stringMatching(/done \(10\.0 MB\) .*v1$/)])
    expect(board.lines(SIZE)).toHaveLength(1)
    expect(board.lines(SIZE)[0]).toContain('1 ended')
  })

  test('what is paused is told, and a snapshot replaces what was known before', () => {
    const board = createJobBoard(() => true)
    board.take(snapshot([running]))
    const all = { scope: 'all', sinceMs: START_MS }
    const again = board.take(snapshot([], [all]))
    expect(again).toEqual([
      'edge: 0 open jobs',
      expect.stringContaining('all transfers, since 2026'),
    ])
    expect(board.lines(SIZE)[1]).toContain('paused by an operator: all transfers')
    expect(board.take({ event: 'pauses-changed', data: { pauses: [] } })).toEqual([
      'nothing is paused',
    ])
    expect(board.lines(SIZE)).toHaveLength(1)
  })

  test('jobs of a topology that runs no more are gone', () => {
    const board = createJobBoard(() => true)
    board.take(snapshot([running]))
    expect(board.take({ event: 'jobs-reset', data: {} })).toHaveLength(1)
    expect(board.lines(SIZE)).toHaveLength(1)
  })

  test('a job that does not fit any more is gone from the screen', () => {
    const board = createJobBoard(({ state }) => state === 'running')
    board.take(snapshot([running, jobView('v2')]))
    expect(board.lines(SIZE)).toHaveLength(2)
    board.take(changed({ ...running, state: 'waiting' }))
    expect(board.lines(SIZE)).toHaveLength(1)
  })
})

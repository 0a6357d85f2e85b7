import { expect, test } from 'vitest'
import type { JobState } from '../../../src/events/mesh-event.ts'
import { isEnd, MOVES, type Move, next } from '../../../src/queue/job-machine.ts'

const MOVE_NAMES: readonly Move[] = [
  'start',
  'finish',
  'defer',
  'due',
  'hold',
  'release',
  'pause',
  'supersede',
  'vanish',
]

test('the table of moves is this one', () => {
  const rows = Object.entries(MOVES).flatMap(([state, moves]) =>
    Object.entries(moves).map(([move, to]) => `${state} -${move}-> ${to}`),
  )
  expect(rows).toEqual([
    'queued -start-> running',
    'queued -hold-> held',
    'queued -supersede-> superseded',
    'running -finish-> done',
    'running -defer-> waiting',
    'running -hold-> held',
    'running -pause-> queued',
    'running -vanish-> gone',
    'running -supersede-> superseded',
    'waiting -due-> queued',
    'waiting -release-> queued',
    'waiting -hold-> held',
    'waiting -supersede-> superseded',
    'waiting -vanish-> gone',
    'held -release-> queued',
    'held -hold-> held',
    'held -supersede-> superseded',
  ])
})

test('from every state that is no end there is a way to an end, and from an end there is none', () => {
  for (const state of Object.keys(MOVES) as JobState[]) {
    const reached = new Set<JobState>([state])
    for (const at of reached) {
      for (const move of MOVE_NAMES) {
        const to = next(at, move)
        if (to !== undefined) reached.add(to)
      }
    }
    expect([...reached].some(isEnd)).toBe(true)
    if (isEnd(state)) expect([...reached]).toEqual([state])
  }
})

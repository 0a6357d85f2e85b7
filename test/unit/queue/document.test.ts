import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CAUSES, JOB_STATES } from '../../../src/admin/job-view.ts'
import { isEnd, MOVES } from '../../../src/queue/job-machine.ts'

const text = readFileSync(new URL('../../../docs/JOBS.md', import.meta.url), 'utf8')

test('docs/JOBS.md draws the table of moves, each move once', () => {
  const drawn = [...text.matchAll(/^ {2}(\w+) --> (\w+): (\w+)$/gm)].map(
    ([, from, to, move]) => `${from} -${move}-> ${to}`,
  )
  const table = Object.entries(MOVES).flatMap(([from, moves]) =>
    Object.entries(moves).map(([move, to]) => `${from} -${move}-> ${to}`),
  )
  expect(drawn.sort()).toEqual(table.sort())
  const ends = [...text.matchAll(/^ {2}(\w+) --> \[\*\]$/gm)].map(([, state]) => state)
  expect(ends).toEqual(JOB_STATES.filter(isEnd))
})

test('docs/JOBS.md explains each state and each cause', () => {
  for (const state of JOB_STATES) expect(text).toContain(`| \`${state}\` |`)
  for (const cause of CAUSES) expect(text).toContain(`\`${cause}\``)
})

import { describe, expect, test } from 'vitest'
import { createJobNotes } from '../../../src/queue/job-notes.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed } from '../../helpers/writers.ts'

const digest = digestNamed('blob')

describe('queue / notes', () => {
  test('a job keeps its last fifty lines and twenty questions', () => {
    const notes = createJobNotes({ clock: createFakeClock() })
    notes.open('job')
    for (let at = 0; at < 30; at += 1) {
      notes.asked('job', { node: `node-${at}`, digest, outcome: 'absent' })
    }
    for (let at = 0; at < 49; at += 1) notes.line('job', `line ${at}`)
    const { log, asked } = notes.of('job')
    expect(log).toHaveLength(50)
    expect(log[0]).toEqual({ atMs: START_MS, text: `node-29 absent ${digest}` })
    expect(log.at(-1)?.text).toBe('line 48')
    expect(asked.map(({ node }) => node)).toEqual(
      Array.from({ length: 20 }, (_, at) => `node-${at + 10}`),
    )
  })

  test('nothing is kept for what is no job', () => {
    const notes = createJobNotes({ clock: createFakeClock() })
    notes.line('job', 'a line')
    notes.asked('job', { node: 'hub', digest, outcome: 'gave' })
    expect(notes.of('job')).toEqual({ log: [], asked: [] })
  })

  test('all together are bounded: who was quiet for longest loses its lines, the others keep theirs', () => {
    const notes = createJobNotes({ clock: createFakeClock() })
    const tooLong = 'x'.repeat(10_000)
    const jobs = Array.from({ length: 1_100 }, (_, at) => `job ${at}`)
    for (const id of jobs) {
      notes.open(id)
      for (let at = 0; at < 50; at += 1) notes.line(id, tooLong)
    }
    const kept = jobs.filter((id) => notes.of(id).log.length > 0)
    // 50,000 lines.
    expect(kept.length).toBeLessThanOrEqual(1_000)
    expect(kept.length).toBeGreaterThan(800)
    expect(kept.at(-1)).toBe('job 1099')
    expect(notes.of('job 1099').log).toHaveLength(50)
    expect(notes.of('job 1099').log[0]?.text.length).toBeLessThanOrEqual(500)
  })
})

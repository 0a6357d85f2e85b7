/** The table of moves: every state of a job, and where each move leads. A move that is not in the table does nothing. */
import type { JobState } from '../events/mesh-event.ts'

export type Move =
  | 'start'
  | 'finish'
  | 'defer'
  | 'due'
  | 'hold'
  | 'release'
  | 'pause'
  | 'supersede'
  | 'vanish'

/**
 * `queued` waits for a worker, or for the end of a pause that is not of this job alone; `running` has one, `waiting` waits for a
 * time or a holder, `held` for a person who cancelled or paused this job.
 * `done`, `superseded` (newer news took over) and `gone` (no holder has it any more, and nobody wants it) are ends.
 */
export const MOVES: Readonly<Record<JobState, Partial<Record<Move, JobState>>>> = {
  queued: { start: 'running', hold: 'held', supersede: 'superseded' },
  running: {
    finish: 'done',
    defer: 'waiting',
    hold: 'held',
    pause: 'queued',
    vanish: 'gone',
    supersede: 'superseded',
  },
  waiting: {
    due: 'queued',
    release: 'queued',
    hold: 'held',
    supersede: 'superseded',
    vanish: 'gone',
  },
  held: { release: 'queued', hold: 'held', supersede: 'superseded' },
  done: {},
  superseded: {},
  gone: {},
}

export function next(state: JobState, move: Move): JobState | undefined {
  return MOVES[state][move]
}

export function isEnd(state: JobState): boolean {
  return Object.keys(MOVES[state]).length === 0
}

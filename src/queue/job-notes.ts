/** What was noted of each job while it lives: its last lines, and whom it asked. In memory; the history keeps them at its end. */
import type { AskedNode, JobLine } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'

export interface Notes {
  readonly log: readonly JobLine[]
  readonly asked: readonly AskedNode[]
}

export interface JobNotes {
  /** From now on the job's notes are kept. */
  open(id: string): void
  line(id: string, text: string): void
  /** A node was asked for something of the job. Nothing happens for a job that nobody opened. */
  asked(id: string, what: Omit<AskedNode, 'atMs'>): void
  of(id: string): Notes
  /** The job is no more. @returns what was noted of it */
  close(id: string): Notes
}

/** Of one job: what a person reads to see what went wrong. */
const [MAX_LINES, MAX_ASKED] = [50, 20]
/** Lines of all jobs together, some 150 bytes each. Beyond it the job that was quiet for longest loses all of its own. */
const MAX_ALL_LINES = 50_000
/** Characters of a line: a reason may name every holder. */
const MAX_TEXT = 500

interface Note {
  readonly log: JobLine[]
  readonly asked: AskedNode[]
}

export function createJobNotes({ clock }: { readonly clock: Clock }): JobNotes {
  /** The one that was noted last comes last. */
  const notes = new Map<string, Note>()
  let lines = 0

  function add(id: string, note: Note, text: string): void {
    notes.delete(id)
    notes.set(id, note)
    note.log.push({ atMs: clock.now(), text: text.slice(0, MAX_TEXT) })
    lines += 1
    if (note.log.length > MAX_LINES) {
      note.log.shift()
      lines -= 1
    }
    if (lines > MAX_ALL_LINES) makeRoom()
  }

  /** By a tenth: looking for the oldest each time would walk over all that were noted again since. */
  function makeRoom(): void {
    for (const [id, { log }] of notes) {
      if (lines <= MAX_ALL_LINES * 0.9 || notes.size === 1) return
      notes.delete(id)
      lines -= log.length
    }
  }

  function of(id: string): Notes {
    const { log, asked } = notes.get(id) ?? { log: [], asked: [] }
    return { log: [...log], asked: [...asked] }
  }

  function line(id: string, text: string): void {
    const note = notes.get(id)
    if (note !== undefined) add(id, note, text)
  }

  return {
    open: (id) => {
      if (!notes.has(id)) notes.set(id, { log: [], asked: [] })
    },
    line,
    asked: (id, what) => {
      const note = notes.get(id)
      if (note === undefined) return
      const reason = what.reason?.slice(0, MAX_TEXT)
      note.asked.push({ atMs: clock.now(), ...what, ...(reason === undefined ? {} : { reason }) })
      note.asked.splice(0, note.asked.length - MAX_ASKED)
      const why = reason === undefined ? '' : `: ${reason}`
      add(id, note, `${what.node} ${what.outcome} ${what.digest}${why}`)
    },
    of,
    close: (id) => {
      const noted = of(id)
      if (notes.delete(id)) lines -= noted.log.length
      return noted
    },
  }
}

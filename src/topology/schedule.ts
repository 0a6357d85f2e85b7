/** Schedules: windows in which content may move. Each begins by a cron expression and lasts a stated time. */
import { Cron } from 'croner'
import { messageOf } from '../lib/errors.ts'

/** Milliseconds since the Unix epoch. */
export type WindowState =
  | { readonly isOpen: true; readonly untilMs: number }
  /** Infinity where it never opens again, as on the 30th of February. */
  | { readonly isOpen: false; readonly opensMs: number }

export interface Schedule {
  /** At `ms` since the Unix epoch. `site` is the time zone (IANA) of the node that receives: it counts for `tz: site`. */
  at(ms: number, site: string): WindowState
  /** Canonical text: for hashes and people. */
  readonly text: string
}

export interface ScheduleText {
  readonly cron: string
  /** Milliseconds. */
  readonly window: number
  /** An IANA name, or `site`. */
  readonly tz: string
}

const MS_PER_SECOND = 1_000

/** What was expected, if the text is no cron expression of five fields. */
export function cronProblem(text: string): string | undefined {
  const fields = text.trim().split(/\s+/).length
  if (fields !== 5) {
    return 'expected a cron expression of five fields: minute, hour, day, month, day of the week'
  }
  try {
    new Cron(text, { paused: true })
    return undefined
  } catch (err) {
    return `expected a cron expression such as "0 1 * * *": ${messageOf(err)}`
  }
}

/** What was expected, if the text is no time zone. */
export function timeZoneProblem(text: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return undefined
  } catch {
    return 'expected a time zone such as Europe/Berlin or UTC'
  }
}

export function createSchedule({ cron, window, tz }: ScheduleText): Schedule {
  const made = new Map<string, Cron>()
  /** One a time zone: there are as many as nodes at most. */
  function cronIn(timezone: string): Cron {
    const known = made.get(timezone) ?? new Cron(cron, { paused: true, timezone })
    made.set(timezone, known)
    return known
  }
  return {
    text: `${cron} for ${window} ms in ${tz}`,
    at: (ms, site) => {
      const runs = cronIn(tz === 'site' ? site : tz)
      // The library looks for runs before a moment, in whole seconds: one that begins now counts.
      const [begun] = runs.previousRuns(1, new Date(ms + MS_PER_SECOND))
      if (begun !== undefined && begun.getTime() <= ms && ms < begun.getTime() + window) {
        return { isOpen: true, untilMs: begun.getTime() + window }
      }
      const opens = runs.nextRun(new Date(ms))
      return { isOpen: false, opensMs: opens?.getTime() ?? Number.POSITIVE_INFINITY }
    },
  }
}

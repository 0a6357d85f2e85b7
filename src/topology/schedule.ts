/** Schedules: windows in which content may move. Each begins by a cron expression and lasts a stated time. */
import { Cron } from 'croner'
import { writtenDuration } from '../lib/duration.ts'
import { messageOf } from '../lib/errors.ts'
import { type Rhythm, rhythmOf } from './rhythm.ts'

/** Milliseconds since the Unix epoch. */
export type WindowState =
  | { readonly isOpen: true; readonly untilMs: number }
  /** Infinity where it never opens again, as on the 30th of February. */
  | { readonly isOpen: false; readonly opensMs: number }

export interface Schedule {
  /** At `ms` since the Unix epoch. `site` is the time zone (IANA) of the node that receives: it counts for `tz: site`. */
  at(ms: number, site: string): WindowState
  /** Over a year; `site` as above. */
  rhythm(site: string): Rhythm
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

/** Windows that follow without a gap are one, as far as so many. */
const MAX_JOINED = 40

/** In one time zone: there are as many as nodes at most. */
interface Zone {
  readonly runs: Cron
  /** What was answered last, and from when on it holds. */
  last?: { readonly fromMs: number; readonly state: WindowState }
  rhythm?: Rhythm
}

export function createSchedule({ cron, window, tz }: ScheduleText): Schedule {
  const zones = new Map<string, Zone>()
  function zoneOf(site: string): Zone {
    const timezone = tz === 'site' ? site : tz
    const zone = zones.get(timezone) ?? { runs: new Cron(cron, { paused: true, timezone }) }
    zones.set(timezone, zone)
    return zone
  }
  function look(runs: Cron, ms: number): WindowState {
    // The library looks for runs before a moment, in whole seconds: one that begins now counts.
    const [begun] = runs.previousRuns(1, new Date(ms + MS_PER_SECOND))
    const beganMs = begun === undefined || begun.getTime() > ms ? undefined : begun.getTime()
    if (beganMs === undefined || ms >= beganMs + window) {
      const opens = runs.nextRun(new Date(ms))
      return { isOpen: false, opensMs: opens?.getTime() ?? Number.POSITIVE_INFINITY }
    }
    let untilMs = beganMs + window
    let nextMs = runs.nextRun(new Date(beganMs))?.getTime()
    for (let joined = 0; joined < MAX_JOINED && nextMs !== undefined; joined += 1) {
      if (nextMs > untilMs) break
      untilMs = nextMs + window
      nextMs = runs.nextRun(new Date(nextMs))?.getTime()
    }
    return { isOpen: true, untilMs }
  }
  return {
    text: `${cron} for ${writtenDuration(window)} in ${tz}`,
    at: (ms, site) => {
      const zone = zoneOf(site)
      // Each job asks again and again: until the window opens or ends the answer is the same.
      if (zone.last !== undefined && ms >= zone.last.fromMs && ms < endOf(zone.last.state)) {
        return zone.last.state
      }
      const state = look(zone.runs, ms)
      zone.last = { fromMs: ms, state }
      return state
    },
    rhythm: (site) => {
      const zone = zoneOf(site)
      zone.rhythm ??= rhythmOf(cron, window, tz === 'site' ? site : tz)
      return zone.rhythm
    },
  }
}

function endOf(state: WindowState): number {
  return state.isOpen ? state.untilMs : state.opensMs
}

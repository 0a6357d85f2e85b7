/** Rhythm: how long a schedule keeps shut at worst, and how long it opens at least, over every day of a year. */
import { Cron } from 'croner'

export interface Rhythm {
  /** The longest time for which no window is open, milliseconds. 0: one always is. Infinity: none ever opens. */
  readonly waitMs: number
  /** How long a window lasts, milliseconds: the shortest one; those that follow without a gap are one. */
  readonly windowMs: number
}

const MS_PER_MINUTE = 60_000
const MS_PER_DAY = 86_400_000
/** The same year for everybody, so that a file's promises do not change with the day on which it is read. It has a 29th of February. */
const YEAR = 2028
const [FROM, TO] = [Date.UTC(YEAR), Date.UTC(YEAR + 1)]

/** `timeZone` (IANA): where `cron` is read; both must be well formed. `windowMs`: how long each window is declared to last. */
export function rhythmOf(cron: string, windowMs: number, timeZone: string): Rhythm {
  let [longest, shortest] = [0, Number.POSITIVE_INFINITY]
  let [last, begun] = [Number.NaN, Number.NaN]
  let count = 0
  for (const run of runsOf(cron, timeZone)) {
    count += 1
    const gap = run - last
    if (gap > longest) longest = gap
    if (gap > windowMs) {
      // Of the first one it is not known when it began.
      if (!Number.isNaN(begun)) shortest = Math.min(shortest, last + windowMs - begun)
      begun = run
    }
    last = run
  }
  if (count < 2) return { waitMs: Number.POSITIVE_INFINITY, windowMs }
  const isKnown = shortest !== Number.POSITIVE_INFINITY
  return { waitMs: Math.max(0, longest - windowMs), windowMs: isKnown ? shortest : windowMs }
}

/**
 * When windows open, milliseconds since the Unix epoch: those of the year and of the first day after it that has any. A library
 * takes a minute for each minute of a year; but days without a change of clocks are alike.
 */
function* runsOf(cron: string, timeZone: string): Generator<number> {
  const [minute, hour, ...day] = cron.trim().split(/\s+/)
  const hours = timesWithin(`0 ${hour} * * *`)
  const minutes = timesWithin(`${minute} 0 * * *`)
  for (const date of datesOf(`0 0 ${day.join(' ')}`)) {
    const start = date.toZonedDateTime(timeZone).epochMilliseconds
    const end = date.add({ days: 1 }).toZonedDateTime(timeZone).epochMilliseconds
    if (end - start === MS_PER_DAY) {
      for (const ms of hours) for (const more of minutes) yield start + ms + more
    } else yield* between(new Cron(cron, { paused: true, timezone: timeZone }), start, end)
  }
}

function* datesOf(cron: string): Generator<Temporal.PlainDate> {
  const days = new Cron(cron, { paused: true, timezone: 'UTC' })
  for (let at = days.nextRun(new Date(FROM - 1)); at !== null; at = days.nextRun(at)) {
    yield Temporal.Instant.fromEpochMilliseconds(at.getTime())
      .toZonedDateTimeISO('UTC')
      .toPlainDate()
    if (at.getTime() >= TO) return
  }
}

/** Milliseconds from midnight. */
function timesWithin(cron: string): readonly number[] {
  const runs = new Cron(cron, { paused: true, timezone: 'UTC' })
  return [...between(runs, FROM, FROM + MS_PER_DAY)].map((run) => run - FROM)
}

function* between(runs: Cron, from: number, to: number): Generator<number> {
  let at = runs.nextRun(new Date(from - MS_PER_MINUTE))
  for (; at !== null && at.getTime() < to; at = runs.nextRun(at)) {
    if (at.getTime() >= from) yield at.getTime()
  }
}

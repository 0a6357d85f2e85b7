/** Calendars: on which days and hours something holds, such as `Mon-Fri 08:00-18:00`, in a time zone. */

export interface Calendar {
  /** Whether it holds at `ms` (since the Unix epoch) in the zone (IANA). */
  holds(ms: number, timeZone: string): boolean
  /** Milliseconds since the Unix epoch of the next moment after `ms` at which the answer may be another one. */
  changesAt(ms: number, timeZone: string): number
}

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
const MINUTES_PER_DAY = 24 * 60
const EXPECTED =
  'expected days, hours, or both, such as "Mon-Fri 08:00-18:00", "Sat,Sun" or "22:00-06:00"'

interface Parts {
  /** 1 = Monday; the day on which a span begins. */
  readonly days: ReadonlySet<number>
  /** Minutes of a day; an end not after the begin lies in the next day. */
  readonly begin: number
  readonly end: number
}

/** What was expected, if the text is no calendar. */
export function calendarProblem(text: string): string | undefined {
  return parse(text) === undefined ? EXPECTED : undefined
}

/** @throws where `calendarProblem` has something to say */
export function createCalendar(text: string): Calendar {
  const parts = parse(text)
  if (parts === undefined) throw new Error(`${EXPECTED}; got ${JSON.stringify(text)}`)
  const { days, begin, end } = parts
  const length = end > begin ? end - begin : end - begin + MINUTES_PER_DAY

  return {
    holds: (ms, timeZone) => {
      const { dayOfWeek, hour, minute } = zoned(ms, timeZone)
      const now = hour * 60 + minute
      const yesterday = dayOfWeek === 1 ? 7 : dayOfWeek - 1
      const isToday = days.has(dayOfWeek) && now >= begin && now < begin + length
      return isToday || (days.has(yesterday) && now + MINUTES_PER_DAY < begin + length)
    },
    changesAt: (ms, timeZone) => {
      const now = zoned(ms, timeZone)
      const edges = [0, 1].flatMap((days) =>
        [0, begin, end].map((minutes) => {
          const time = { hour: Math.floor(minutes / 60) % 24, minute: minutes % 60 }
          return now.add({ days }).with({ ...time, second: 0, millisecond: 0 }).epochMilliseconds
        }),
      )
      // Where the clocks are changed, an hour is skipped or comes again.
      const shift = now.getTimeZoneTransition('next')?.epochMilliseconds ?? Number.POSITIVE_INFINITY
      return Math.min(shift, ...edges.filter((edge) => edge > ms))
    },
  }
}

function zoned(ms: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(ms)).toZonedDateTimeISO(timeZone)
}

function parse(text: string): Parts | undefined {
  const [, dayText, hourText] =
    /^([A-Z][a-z]{2}(?:[,-][A-Z][a-z]{2})*)?(?:(?:^| )(\d\d:\d\d-\d\d:\d\d))?$/.exec(text) ?? []
  if (dayText === undefined && hourText === undefined) return undefined
  const days = parseDays(dayText ?? 'Mon-Sun')
  const hours = parseHours(hourText ?? '00:00-24:00')
  return days === undefined || hours === undefined ? undefined : { days, ...hours }
}

/** `Mon-Fri,Sun`; a range may go over the end of the week. */
function parseDays(text: string): ReadonlySet<number> | undefined {
  const days = new Set<number>()
  for (const range of text.split(',')) {
    const [first = '', last = first, more] = range.split('-')
    const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last)]
    if (from === -1 || to === -1 || more !== undefined) return undefined
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.add(day + 1)
      if (day === to) break
    }
  }
  return days
}

function parseHours(text: string): Pick<Parts, 'begin' | 'end'> | undefined {
  const numbers = text.split(/[:-]/).map(Number)
  const [beginHour = 0, beginMinute = 0, endHour = 0, endMinute = 0] = numbers
  const begin = beginHour * 60 + beginMinute
  const end = endHour * 60 + endMinute
  const isTime = beginMinute < 60 && endMinute < 60 && begin < MINUTES_PER_DAY
  return isTime && end <= MINUTES_PER_DAY && begin !== end ? { begin, end } : undefined
}

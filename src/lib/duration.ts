/** Durations as people write them: whole numbers with units. */

const COARSE = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const
const UNITS = [...COARSE, ['ms', 1]] as const

/** Milliseconds of e.g. `7d`, `24h`, `90s`; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9})(d|h|m|s|ms)$/.exec(text) ?? []
  const size = UNITS.find(([name]) => name === unit)?.[1]
  return size === undefined ? undefined : Number(number) * size
}

/** e.g. `90m`: exact, in one unit, as it is written. */
export function writtenDuration(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms % one === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** A time of days says nothing about seconds. */
const MAX_SHOWN = 2

/** e.g. `6d 23h`: the two largest units, rounded down, as an age is. Below a second milliseconds. */
export function durationText(ms: number): string {
  return inUnits(Math.max(0, ms), Math.floor)
}

/** e.g. `21h 30m`: the same rounded up, as a bound is. */
export function boundText(ms: number): string {
  return inUnits(Math.max(0, ms), Math.ceil)
}

function inUnits(ms: number, round: (value: number) => number): string {
  const top = COARSE.findIndex(([, size]) => ms >= size)
  if (top === -1) return round(ms) < 1_000 ? `${round(ms)}ms` : inUnits(round(ms), round)
  const shown = COARSE.slice(top, top + MAX_SHOWN)
  const smallest = shown.at(-1)?.[1] ?? 1
  let rest = round(ms / smallest) * smallest
  // Rounded up it may fill a larger unit.
  if (rest >= (COARSE[top - 1]?.[1] ?? Number.POSITIVE_INFINITY)) return inUnits(rest, round)
  const parts = shown.map(([unit, size]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return count === 0 ? '' : `${count}${unit}`
  })
  return parts.filter((part) => part !== '').join(' ')
}

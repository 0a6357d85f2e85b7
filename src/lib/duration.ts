/** Durations as people write them: a whole number and a unit. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

/** Milliseconds of e.g. `7d`, `24h`, `90s`; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9})(d|h|m|s|ms)$/.exec(text) ?? []
  const size = UNITS.find(([name]) => name === unit)?.[1]
  return size === undefined ? undefined : Number(number) * size
}

/** e.g. `3d`: the largest unit that goes in at least once, rounded down. */
export function durationText(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= one) ?? ['ms', 1]
  return `${Math.max(0, Math.floor(ms / size))}${unit}`
}

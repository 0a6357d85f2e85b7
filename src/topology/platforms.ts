/** Sets of platforms: which images of an index are meant. */
import type { Platforms } from './topology.ts'

/** What is in either; undefined = nothing. */
export function unitePlatforms(
  a: Platforms | undefined,
  b: Platforms | undefined,
): Platforms | undefined {
  if (a === undefined || b === undefined) return a ?? b
  if (a === 'all' || b === 'all') return 'all'
  return [...new Set([...a, ...b])].sort()
}

/** What is in both; undefined = nothing. */
export function commonPlatforms(a: Platforms, b: Platforms): Platforms | undefined {
  if (a === 'all') return b
  if (b === 'all') return a
  const common = [
    ...a.filter((one) => hasPlatform(b, one)),
    ...b.filter((one) => hasPlatform(a, one)),
  ]
  return common.length === 0 ? undefined : [...new Set(common)].sort()
}

/** Whether `held` has all that `wanted` asks for. */
export function coversPlatforms(held: Platforms, wanted: Platforms): boolean {
  if (held === 'all') return true
  return wanted !== 'all' && wanted.every((platform) => held.includes(platform))
}

/** Whether an image of `platform` is meant; one that names none belongs to every set, as attestations do. */
export function hasPlatform(platforms: Platforms, platform: string | undefined): boolean {
  if (platforms === 'all' || platform === undefined) return true
  // linux/arm64 is the usual short form of linux/arm64/v8.
  return platforms.some((one) => one === platform || platform.startsWith(`${one}/`))
}

/** What the references of a job ask for together: asking for more never gives less. */
import type { PullPlan } from '../planner/planner.ts'
import { unitePlatforms } from '../topology/platforms.ts'
import type { Schedule } from '../topology/schedule.ts'
import type { Platforms } from '../topology/topology.ts'

/** What one reference asks for. */
export type Ask = Pick<PullPlan, 'priority' | 'platforms' | 'windows' | 'policies'>

/** What all of them ask for. */
export interface Asked {
  priority: number
  platforms: Platforms
  /** Any of them; undefined: at once. */
  windows: readonly Schedule[] | undefined
  /** Names of the policies; undefined: the node holds it for its own sake, because it may write it. */
  policies: readonly string[] | undefined
}

export function uniteAsks(asks: Iterable<Ask>): Asked {
  const all = [...asks]
  const windows = all.flatMap((ask) => ask.windows ?? [])
  const isAtOnce = all.some((ask) => ask.windows === undefined)
  const isOwn = all.some((ask) => ask.policies === undefined || ask.policies.length === 0)
  const sets = all.map(({ platforms }) => platforms ?? 'all')
  return {
    priority: Math.max(...all.map(({ priority }) => priority ?? 0)),
    platforms: sets.reduce<Platforms | undefined>(unitePlatforms, undefined) ?? 'all',
    windows: isAtOnce ? undefined : [...new Map(windows.map((one) => [one.text, one])).values()],
    policies: isOwn
      ? undefined
      : [...new Set(all.flatMap(({ policies }) => policies ?? []))].sort(),
  }
}

/** Whether both may begin at the same times. */
export function haveSameWindows(a: Pick<Asked, 'windows'>, b: Pick<Asked, 'windows'>): boolean {
  const textOf = ({ windows }: Pick<Asked, 'windows'>) =>
    windows?.map(({ text }) => text).join('\n')
  return textOf(a) === textOf(b)
}

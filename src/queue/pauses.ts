/** Pauses: what a person has stopped until further notice. Kept in the index, so that a restart ends none. */
import type { EventBus } from '../events/event-bus.ts'
import type { Pause } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { PAUSE } from '../storage/index-tables.ts'

export type PauseTarget = Pick<Pause, 'scope' | 'name'>

export interface Pauses {
  /** As many as policies and neighbours, and one, at most. */
  list(): readonly Pause[]
  /** Resolves when it is durable and in force. One that is there stays as it is. */
  pause(target: PauseTarget): Promise<Pause>
  /** @returns false when nothing of the kind was paused */
  resume(target: PauseTarget): Promise<boolean>
  /** Why a job that these policies ask for may not run: all of them are paused, or everything is. None: it is the node's own. */
  ofJob(policies: readonly string[] | undefined): Pause | undefined
  /** Why nothing is fetched from the neighbour. */
  ofLink(node: string): Pause | undefined
}

/** The only row: a person reads it whole. */
const ROW = 'all'

export interface PausesDeps {
  readonly index: Pick<IndexDb, 'get' | 'transact'>
  readonly events: Pick<EventBus, 'emit'>
  readonly clock: Clock
}

export function createPauses({ index, events, clock }: PausesDeps): Pauses {
  let pauses = index.get(PAUSE, ROW) ?? []
  const find = (among: readonly Pause[], { scope, name }: PauseTarget) =>
    among.find((one) => one.scope === scope && one.name === name)

  /** Changes the row alone, and what is in force with it. */
  function change<T>(
    work: (before: readonly Pause[]) => readonly [readonly Pause[], T],
  ): Promise<T> {
    return index.transact((tx) => {
      const [after, answer] = work(tx.get(PAUSE, ROW) ?? [])
      tx.put(PAUSE, ROW, after)
      tx.afterCommit(() => {
        pauses = after
        events.emit({ kind: 'pauses-changed', pauses })
      })
      return answer
    })
  }

  return {
    list: () => pauses,
    pause: async (target) => {
      const known = find(pauses, target)
      if (known !== undefined) return known
      return change((before) => {
        const other = find(before, target)
        const fresh = { ...target, sinceMs: clock.now() }
        return other === undefined ? [[...before, fresh], fresh] : [before, other]
      })
    },
    resume: async (target) => {
      if (find(pauses, target) === undefined) return false
      return change((before) => {
        const gone = find(before, target)
        return [before.filter((one) => one !== gone), gone !== undefined]
      })
    },
    ofJob: (policies) => {
      const all = find(pauses, { scope: 'all' })
      if (all !== undefined || pauses.length === 0 || policies === undefined) return all
      const found = policies.map((name) => find(pauses, { scope: 'policy', name }))
      return found.includes(undefined) ? undefined : found[0]
    },
    ofLink: (name) => find(pauses, { scope: 'all' }) ?? find(pauses, { scope: 'link', name }),
  }
}

/** For a person. */
export function pauseText({ scope, name }: PauseTarget): string {
  return scope === 'all' ? 'all transfers are paused' : `${scope} ${name} is paused`
}

/** Where nobody can pause anything. */
export const NO_PAUSES: Pick<Pauses, 'ofJob'> = { ofJob: () => undefined }

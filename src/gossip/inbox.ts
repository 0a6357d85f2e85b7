/**
 * News that came by gossip and is not stored yet: all that waits becomes one transaction, so a burst costs few writes of the disk. What
 * waits is replaced by newer news of its key, by the order of the records, so concurrent ones are all stored.
 */
import type { Logger } from '../lib/logger.ts'
import { type History, merge } from '../record/history.ts'
import { keyText } from '../record/tag-record.ts'
import type { Verdict } from './admission.ts'
import type { Received, Receiver, RemoteArrival } from './receiver.ts'

export interface Inbox {
  /** @returns false where there is no room, or nothing new: the record is not stored from here */
  put(verdict: Exclude<Verdict, { readonly kind: 'invalid' }>, arrival: RemoteArrival): boolean
}

export interface InboxDeps {
  readonly receiver: Pick<Receiver, 'receiveEach'>
  readonly logger: Logger
}

/** Records that wait, at most: 20 MiB where each is as large as it may be. Beyond it the feed brings the news. */
const MAX_WAITING = 5_000
/** Records of one transaction, at most: some 50 ms of the event loop. */
const MAX_BATCH = 500

export function createInbox({ receiver, logger }: InboxDeps): Inbox {
  /** What was admitted, by key; ways by record id. */
  const histories = new Map<string, History>()
  const waiting = new Map<string, Received>()
  let isStoring = false

  function take(): readonly Received[] {
    const batch = [...waiting].slice(0, MAX_BATCH)
    for (const [id, { verdict }] of batch) {
      waiting.delete(id)
      if (verdict.kind === 'admitted') histories.delete(keyText(verdict.signed.record))
    }
    return batch.map(([, received]) => received)
  }

  async function store(): Promise<void> {
    while (waiting.size > 0) {
      await receiver.receiveEach(take()).catch((err: unknown) => {
        // The neighbour's feed brings them again.
        logger.warn({ err }, 'announced records not stored')
      })
    }
  }

  /** @returns false when it says nothing new */
  function replace(verdict: Verdict & { readonly kind: 'admitted' }): boolean {
    const key = keyText(verdict.signed.record)
    const before = histories.get(key) ?? []
    const merged = merge(before, verdict.signed)
    if (merged.kind === 'known') return false
    for (const { id } of before) {
      if (!merged.history.some((kept) => kept.id === id)) waiting.delete(id)
    }
    histories.set(key, merged.history)
    return true
  }

  return {
    put: (verdict, arrival) => {
      const { id } = verdict.signed
      if (waiting.has(id) || waiting.size >= MAX_WAITING) return false
      if (verdict.kind === 'admitted' && !replace(verdict)) return false
      waiting.set(id, { verdict, arrival })
      if (!isStoring) {
        isStoring = true
        void store().finally(() => {
          isStoring = false
        })
      }
      return true
    },
  }
}

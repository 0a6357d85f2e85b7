/**
 * Serves this node's feed to its neighbours: from their position on, through the filter of the links between the two;
 * when nothing is new, the answer waits for news. The sender decides what a neighbour may see.
 */
import type { Clock } from '../lib/clock.ts'
import { createNap } from '../lib/nap.ts'
import type { Reading } from '../peers/reading.ts'
import { newestOf } from '../record/history.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { Entry, Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import { type Filter, flow, type Naming } from '../topology/flow.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import {
  decodeFeedRequest,
  encodeFeedAnswer,
  FEED_PROTOCOL,
  type FeedEntry,
  type FeedRequest,
  MAX_PAGE_ENTRIES,
  MAX_PLATFORMS,
} from './feed-codec.ts'
import type { Network } from './network.ts'

/** Bytes of records in one answer: half a frame, so that the last entry may still be a large one. */
const MAX_PAGE_BYTES = 512 * 1024
/** Entries read from the index at a time. */
const SCAN = 256

export interface FeedServerDeps {
  readonly network: Pick<Network, 'handle'>
  readonly topology: Topology
  readonly self: NodeName
  readonly ledger: Ledger
  readonly naming: Naming
  /** Told where a reader waits for news. */
  readonly reading?: Pick<Reading, 'waits'>
  readonly clock: Clock
}

export function createFeedServer({
  network,
  topology,
  self,
  ledger,
  naming,
  reading,
  clock,
}: FeedServerDeps): void {
  async function answer(
    request: FeedRequest,
    peer: PeerId,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const reader = nodeOfPeer(topology, peer)
    if (reader === undefined)
      throw new Error('feed asked for by a peer that is not in the topology')
    const filter = flow(topology, self, reader)
    const { position, waitMs } = request
    const from = position?.filter === filter.hash ? ledger.resume(position) : 0
    const restarted = position !== undefined && from === 0 && position.number > 0
    const askedMs = clock.now()
    const deadline = askedMs + waitMs
    let after = from
    for (;;) {
      const page = await collect(after, filter)
      const left = deadline - clock.now()
      const isNews = page.entries.length > 0 || restarted
      if (isNews || left <= 0 || left > waitMs) {
        const { epoch } = ledger
        const facts = { version: 1 as const, epoch, filter: filter.hash, restarted }
        const now = clock.now()
        return encodeFeedAnswer({ ...facts, ...page, now, heldMs: Math.max(0, now - askedMs) })
      }
      after = page.through
      const leave = reading?.waits(reader, after)
      try {
        await news(after, left, signal)
      } finally {
        leave?.()
      }
    }
  }

  /** Entries after a number that pass, up to the bounds of an answer. */
  async function collect(after: number, filter: Filter) {
    const entries: FeedEntry[] = []
    let bytes = 0
    let through = after
    for (;;) {
      const page = await ledger.page(through, SCAN)
      for (const entry of page.entries) {
        if (entries.length >= MAX_PAGE_ENTRIES || bytes >= MAX_PAGE_BYTES)
          return { entries, through, head: ledger.head() }
        if (await passes(entry, filter)) {
          const feedEntry = toFeedEntry(entry)
          entries.push(feedEntry)
          bytes += feedEntry.records.reduce((sum, record) => sum + record.length, 0)
        }
        through = entry.number
      }
      if (page.through === through && page.entries.length === 0) break
      through = page.through
      if (through >= ledger.head()) break
    }
    // What was written since the last look is news for the next request.
    return { entries, through, head: through }
  }

  async function passes(entry: Entry, filter: Filter): Promise<boolean> {
    // Adopted: there is nothing to tell of it.
    if (entry.history.length === 0) return false
    return filter.passes(itemOf(entry.key, newestOf(entry.history)), naming)
  }

  /** Waits until the head moves past a number, or the time is over. */
  async function news(after: number, ms: number, signal: AbortSignal): Promise<void> {
    if (ledger.head() > after) return
    const nap = createNap({ clock })
    const stop = ledger.onAdvance(nap.wake)
    await nap.take(ms, { signal })
    stop()
    signal.throwIfAborted()
  }

  network.handle(FEED_PROTOCOL, (frame, { peer, signal }) =>
    answer(decodeFeedRequest(frame), peer, signal),
  )
}

function toFeedEntry({ history, held, kept }: Entry): FeedEntry {
  const records = history.map(({ bytes }) => bytes)
  const losers = kept === undefined ? {} : { kept: [...kept] }
  const { digest, coverage = [] } = held ?? {}
  if (digest === undefined || coverage.length === 0) return { records, ...losers }
  if (coverage === 'all') return { records, held: digest, ...losers }
  const platforms = coverage.slice(0, MAX_PLATFORMS)
  return { records, partly: { held: digest, ...losers, platforms } }
}

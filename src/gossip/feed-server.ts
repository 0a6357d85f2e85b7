/**
 * Serves this node's feed to its neighbours: from their position on, through the filter of the links between the two;
 * when nothing is new, the answer waits for news. The sender decides what a neighbour may see.
 */
import type { Clock } from '../lib/clock.ts'
import { visibleOf } from '../record/history.ts'
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
  readonly clock: Clock
}

export function createFeedServer({
  network,
  topology,
  self,
  ledger,
  naming,
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
    const deadline = clock.now() + waitMs
    let after = from
    for (;;) {
      const page = await collect(after, filter)
      const left = deadline - clock.now()
      const isNews = page.entries.length > 0 || restarted
      if (isNews || left <= 0 || left > waitMs) {
        const { epoch } = ledger
        return encodeFeedAnswer({ version: 1, epoch, filter: filter.hash, restarted, ...page })
      }
      after = page.through
      await news(after, left, signal)
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
          return { entries, through }
        if (await passes(entry, filter)) {
          const feedEntry = toFeedEntry(entry)
          entries.push(feedEntry)
          bytes += feedEntry.records.reduce((sum, record) => sum + record.length, 0)
        }
        through = entry.number
      }
      if (page.through === through && page.entries.length === 0) return { entries, through }
      through = page.through
      if (through >= ledger.head()) return { entries, through }
    }
  }

  async function passes(entry: Entry, filter: Filter): Promise<boolean> {
    // Adopted: there is nothing to tell of it.
    if (entry.history.length === 0) return false
    const newest = visibleOf(entry.history)?.record ?? entry.history[0]?.record
    return filter.passes(itemOf(entry.key, newest), naming)
  }

  /** Waits until the head moves past a number, or the time is over. */
  async function news(after: number, ms: number, signal: AbortSignal): Promise<void> {
    if (ledger.head() > after) return
    const over = new AbortController()
    const stop = ledger.onAdvance(() => over.abort())
    try {
      await clock.sleep(ms, { signal: AbortSignal.any([over.signal, signal]) })
    } catch {
      signal.throwIfAborted()
    } finally {
      stop()
    }
  }

  network.handle(FEED_PROTOCOL, (frame, { peer, signal }) =>
    answer(decodeFeedRequest(frame), peer, signal),
  )
}

function toFeedEntry({ history, held }: Entry): FeedEntry {
  const records = history.map(({ bytes }) => bytes)
  // A neighbour may only count on content that is here for every platform.
  return held?.coverage === 'all' ? { records, held: held.digest } : { records }
}

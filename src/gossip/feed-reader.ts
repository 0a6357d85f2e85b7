/**
 * Reads the feeds of the neighbours that send to this node: from the stored position, then following it. The position
 * moves in the same transaction as what it passes, so nothing is lost in a crash and nothing is read twice for long.
 */
import type { EventBus } from '../events/event-bus.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { CURSOR, type CursorRow } from '../storage/index-tables.ts'
import type { Filter } from '../topology/flow.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Admission } from './admission.ts'
import {
  decodeFeedAnswer,
  encodeFeedRequest,
  FEED_PROTOCOL,
  type FeedAnswer,
} from './feed-codec.ts'
import type { Channel, Network } from './network.ts'
import type { Receiver } from './receiver.ts'

/** How long an answer may wait for news, milliseconds: the timer of the exchange, and the age of a dead link. */
const WAIT_MS = 30_000
const RETRY = { firstMs: 500, capMs: 30_000 }

export interface FeedReaderDeps {
  readonly network: Pick<Network, 'open'>
  /** What this node's own file lets through from the neighbour. */
  readonly filterFrom: (node: NodeName) => Filter
  readonly admission: Admission
  readonly receiver: Receiver
  readonly index: IndexDb
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface FeedReader extends AsyncDisposable {
  /** Reads from the neighbour until `unfollow`. */
  follow(node: NodeName, peer: PeerId): void
  unfollow(node: NodeName): void
}

export function createFeedReader(deps: FeedReaderDeps): FeedReader {
  const { network, filterFrom, admission, receiver, index, events, clock, random } = deps
  const following = new Map<
    NodeName,
    { readonly stop: AbortController; readonly done: Promise<void> }
  >()

  async function read(node: NodeName, peer: PeerId, signal: AbortSignal): Promise<void> {
    const logger = deps.logger.child({ neighbour: node })
    for (let failures = 0; !signal.aborted; ) {
      let channel: Channel | undefined
      try {
        channel = await network.open(peer, FEED_PROTOCOL, { signal })
        for (;;) {
          await exchange(channel, node, peer, signal)
          failures = 0
        }
      } catch (err) {
        if (signal.aborted) return
        failures += 1
        logger.debug({ err }, 'feed interrupted')
        await clock.sleep(backoffMs(failures, RETRY, random), { signal }).catch(() => {})
      } finally {
        await channel?.close().catch(() => {})
      }
    }
  }

  async function exchange(
    channel: Channel,
    node: NodeName,
    peer: PeerId,
    signal: AbortSignal,
  ): Promise<void> {
    const own = filterFrom(node)
    const position = positionOf(index.get(CURSOR, peer), own)
    const request = { version: 1 as const, waitMs: WAIT_MS, ...(position && { position }) }
    const answer = decodeFeedAnswer(await channel.request(encodeFeedRequest(request), { signal }))
    await apply(answer, node, peer, own)
  }

  async function apply(
    answer: FeedAnswer,
    node: NodeName,
    peer: PeerId,
    own: Filter,
  ): Promise<void> {
    const verdicts = answer.entries.flatMap(({ records }) =>
      records.map((bytes) => admission.check(bytes)),
    )
    // Each end enforces its own file: what this one does not let through is not taken.
    const taken = verdicts.filter(
      (verdict) => verdict.kind === 'invalid' || own.reads(verdict.signed.record.repository),
    )
    const { epoch, through: number } = answer
    const cursor: CursorRow = { filter: joined(answer.filter, own), epoch, number }
    await receiver.receive(taken, { via: 'feed', from: node }, (tx) => tx.put(CURSOR, peer, cursor))
    if (answer.restarted) events.emit({ kind: 'feed-restarted', node })
    let at = 0
    for (const { records, held } of answer.entries) {
      const verdict = records.length === 0 ? undefined : verdicts[at]
      at += records.length
      if (held === undefined || verdict === undefined || verdict.kind === 'invalid') continue
      const { repository } = verdict.signed.record
      events.emit({ kind: 'holder-found', node, repository, digest: held })
    }
  }

  return {
    follow: (node, peer) => {
      if (following.has(node)) return
      const stop = new AbortController()
      following.set(node, { stop, done: read(node, peer, stop.signal) })
    },
    unfollow: (node) => {
      following.get(node)?.stop.abort()
      following.delete(node)
    },
    [Symbol.asyncDispose]: async () => {
      for (const { stop } of following.values()) stop.abort()
      await Promise.all([...following.values()].map(({ done }) => done))
    },
  }
}

/** Another filter at either end means to begin again. */
function positionOf(cursor: CursorRow | undefined, own: Filter) {
  if (cursor === undefined) return undefined
  const [theirs = '', ours] = cursor.filter.split(':')
  if (ours !== own.hash) return undefined
  return { epoch: cursor.epoch, number: cursor.number, filter: theirs }
}

function joined(theirs: string, own: Filter): string {
  return `${theirs}:${own.hash}`
}

/**
 * Reads the feeds of the neighbours that send to this node: from the stored position, then following it. The position
 * moves in the same transaction as what it passes, so nothing is lost in a crash and nothing is read twice for long.
 */
import type { EventBus } from '../events/event-bus.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { offsetOf } from '../peers/mesh-time.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { CURSOR, type CursorRow } from '../storage/index-tables.ts'
import type { Filter } from '../topology/flow.ts'
import type { NodeName } from '../topology/topology.ts'
import { type Admission, takenFrom } from './admission.ts'
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
/** Answers in a row that bring nothing and come at once: one at the beginning, one where a clock jumped. Then it is waited, milliseconds. */
const VAIN = { most: 3, restMs: 1_000 }

export interface FeedReaderDeps {
  readonly network: Pick<Network, 'open'>
  /** What this node's own file lets through from the neighbour. */
  readonly filterFrom: (node: NodeName) => Filter
  readonly admission: Admission
  readonly receiver: Receiver
  readonly neighbours: Pick<Neighbours, 'measured'>
  readonly index: IndexDb
  readonly events: EventBus
  /** Told after each answer, once what it brought is durable. */
  readonly onRead?: (node: NodeName, progress: ReadProgress) => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** How far the feed of a neighbour has been read. */
export interface ReadProgress {
  readonly epoch: string
  readonly through: number
  /** Where it ended when the neighbour answered. */
  readonly head: number
}

export interface FeedReader extends AsyncDisposable {
  /** Reads from the neighbour until `unfollow`. */
  follow(node: NodeName, peer: PeerId): void
  unfollow(node: NodeName): void
}

interface Exchange {
  readonly node: NodeName
  readonly peer: PeerId
  /** How long the answer may wait for news, milliseconds. */
  readonly waitMs: number
  readonly signal: AbortSignal
}

interface Exchanged {
  readonly progress: ReadProgress
  /** The clocks could be compared. */
  readonly isMeasured: boolean
  /** It came no further. */
  readonly isVain: boolean
}

/** Where an exchange begins. */
interface Start {
  readonly position: ReturnType<typeof positionOf>
  /** Something from here on was left out, and there is no room for it yet. */
  readonly again: number | undefined
}

interface Read {
  readonly node: NodeName
  readonly peer: PeerId
  readonly own: Filter
  readonly start: Start
}

export function createFeedReader(deps: FeedReaderDeps): FeedReader {
  const { network, filterFrom, admission, receiver, index, events, clock, random } = deps
  const { neighbours } = deps
  const { onRead = () => {} } = deps
  /** Of a peer whose records were left out: what the park's count of room made was then. */
  const fullAt = new Map<PeerId, number>()
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
        // First of all it is found out how much there is to read: what waits for the end of it must not wait for news.
        for (let waitMs = 0, vain = 0; ; ) {
          const askedMs = clock.now()
          const said = await exchange(channel, { node, peer, waitMs, signal })
          const { progress, isMeasured } = said
          vain = said.isVain && clock.now() - askedMs < VAIN.restMs ? vain + 1 : 0
          if (vain >= VAIN.most) await clock.sleep(VAIN.restMs, { signal })
          const { through, head } = progress
          // One of the two clocks jumped while the answer waited: the next comes at once and tells by how much.
          const isBlind = !isMeasured && waitMs > 0
          if (isBlind) waitMs = 0
          else if (through >= head) waitMs = WAIT_MS
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
    { node, peer, waitMs, signal }: Exchange,
  ): Promise<Exchanged> {
    const own = filterFrom(node)
    const start = startOf(peer, own)
    const { position } = start
    const request = { version: 1 as const, waitMs, ...(position && { position }) }
    const sentMs = clock.now()
    const answer = decodeFeedAnswer(await channel.request(encodeFeedRequest(request), { signal }))
    // Before its records: they are judged by the time that it tells.
    const isMeasured = measure(node, sentMs, answer)
    await apply(answer, { node, peer, own, start })
    onRead(node, answer)
    const isOn = answer.through > (position?.number ?? 0)
    const isVain = answer.entries.length === 0 || answer.restarted || !isOn
    return { progress: answer, isMeasured, isVain }
  }

  /** @returns false when the clocks could not be compared */
  function measure(node: NodeName, sentMs: number, { now, heldMs = 0 }: FeedAnswer): boolean {
    if (now === undefined) return true
    const offsetMs = offsetOf({ sentMs, receivedMs: clock.now(), theirMs: now, heldMs })
    if (offsetMs !== undefined) neighbours.measured(node, offsetMs)
    return offsetMs !== undefined
  }

  /** From the position on; from where records were left out, once the park has room. */
  function startOf(peer: PeerId, own: Filter): Start {
    const cursor = index.get(CURSOR, peer)
    const position = positionOf(cursor, own)
    const again = position === undefined ? undefined : cursor?.again
    if (position === undefined || again === undefined) return { position, again: undefined }
    if (fullAt.get(peer) === receiver.roomMade()) return { position, again }
    return { position: { ...position, number: again }, again: undefined }
  }

  async function apply(answer: FeedAnswer, { node, peer, own, start }: Read): Promise<void> {
    const verdicts = answer.entries.flatMap(({ records }) =>
      records.map((bytes) => admission.check(bytes)),
    )
    const taken = takenFrom(verdicts, own)
    const { epoch, through: number } = answer
    const cursor: CursorRow = { filter: joined(answer.filter, own), epoch, number }
    await receiver.receive(taken, { via: 'feed', from: node }, (tx, leftOut) => {
      if (leftOut > 0) fullAt.set(peer, receiver.roomMade())
      const from = start.position?.number ?? 0
      const again = leftOut > 0 ? Math.min(start.again ?? from, from) : start.again
      tx.put(CURSOR, peer, again === undefined ? cursor : { ...cursor, again })
    })
    if (answer.restarted) events.emit({ kind: 'feed-restarted', node })
    let at = 0
    for (const { records, held, kept = [], partly } of answer.entries) {
      const verdict = records.length === 0 ? undefined : verdicts[at]
      at += records.length
      if (verdict === undefined || verdict.kind === 'invalid') continue
      const { repository } = verdict.signed.record
      for (const digest of [held, ...kept]) {
        if (digest !== undefined) events.emit({ kind: 'holder-found', node, repository, digest })
      }
      if (partly === undefined) continue
      const { platforms } = partly
      for (const digest of [partly.held, ...(partly.kept ?? [])]) {
        if (digest === undefined) continue
        events.emit({ kind: 'holder-found', node, repository, digest, platforms })
      }
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
export function positionOf(cursor: CursorRow | undefined, own: Filter) {
  if (cursor === undefined) return undefined
  const [theirs = '', ours] = cursor.filter.split(':')
  if (ours !== own.hash) return undefined
  return { epoch: cursor.epoch, number: cursor.number, filter: theirs }
}

function joined(theirs: string, own: Filter): string {
  return `${theirs}:${own.hash}`
}

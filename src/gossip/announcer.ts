/** The announcer: a record that is new here goes out on every topic whose link lets it through, once. */
import type { EventBus } from '../events/event-bus.ts'
import type { EventOf } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Naming } from '../topology/flow.ts'
import type { GroupTopic } from '../topology/groups.ts'
import type { Network } from './network.ts'
import { createOutbox } from './outbox.ts'

export interface Announcer extends AsyncDisposable {
  /** Records published so far, one per topic. */
  published(): number
  /** Records that were left to the feed. */
  dropped(): number
}

export interface AnnouncerDeps {
  readonly network: Pick<Network, 'publish'>
  readonly topics: readonly GroupTopic[]
  readonly naming: Naming
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Starts announcing what `record-stored` says, and what was parked: others have another time. */
export function createAnnouncer(deps: AnnouncerDeps): Announcer {
  const { network, naming, events, clock, logger } = deps
  let published = 0
  const stop = new AbortController()
  const outgoing = deps.topics
    .filter(({ sends }) => sends)
    .map((group) => ({
      ...group,
      outbox: createOutbox({
        publish: (data) => publish(group.topic, data),
        clock,
        signal: stop.signal,
      }),
    }))

  async function publish(topic: string, data: Uint8Array): Promise<void> {
    try {
      await network.publish(topic, data)
      published += 1
    } catch (err) {
      // The feed brings it all the same.
      logger.warn({ err }, 'record not announced')
      throw err
    }
  }

  async function announce({
    signed,
    arrival,
  }: EventOf<'record-stored'> | EventOf<'record-parked'>): Promise<void> {
    const item = itemOf(signed.record, signed.record)
    for (const { topic, filter, outbox } of outgoing) {
      // The topic that brought it has passed it on already.
      if (arrival.via === 'gossip' && arrival.topic === topic) continue
      if (await filter.passes(item, naming)) outbox.put(signed)
    }
  }

  function hear(event: EventOf<'record-stored'> | EventOf<'record-parked'>): void {
    announce(event).catch((err: unknown) => logger.warn({ err }, 'record not announced'))
  }

  events.on('record-stored', hear)
  events.on('record-parked', hear)
  return {
    published: () => published,
    dropped: () => outgoing.reduce((sum, { outbox }) => sum + outbox.dropped(), 0),
    [Symbol.asyncDispose]: async () => stop.abort(),
  }
}

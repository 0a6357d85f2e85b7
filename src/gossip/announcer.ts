/** The announcer: a record that is new here goes out on every topic whose link lets it through, once. */
import type { EventBus } from '../events/event-bus.ts'
import type { EventOf } from '../events/mesh-event.ts'
import type { Logger } from '../lib/logger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Naming } from '../topology/flow.ts'
import type { GroupTopic } from '../topology/groups.ts'
import type { Network } from './network.ts'

export interface Announcer {
  /** Records published so far, one per topic. */
  published(): number
}

export interface AnnouncerDeps {
  readonly network: Pick<Network, 'publish'>
  readonly topics: readonly GroupTopic[]
  readonly naming: Naming
  readonly events: EventBus
  readonly logger: Logger
}

/** Starts announcing what `record-stored` says. */
export function createAnnouncer({
  network,
  topics,
  naming,
  events,
  logger,
}: AnnouncerDeps): Announcer {
  let published = 0
  const outgoing = topics.filter(({ sends }) => sends)

  async function announce({ signed, arrival }: EventOf<'record-stored'>): Promise<void> {
    const item = itemOf(signed.record, signed.record)
    const send = async ({ topic, filter }: GroupTopic) => {
      // The topic that brought it has passed it on already.
      if (arrival.via === 'gossip' && arrival.topic === topic) return
      if (!(await filter.passes(item, naming))) return
      await network.publish(topic, signed.bytes)
      published += 1
    }
    // Side by side: a topic that fails does not keep the news from the others.
    await Promise.all(outgoing.map(send))
  }

  events.on('record-stored', (event) => {
    announce(event).catch((err: unknown) => {
      // The feed brings it all the same.
      logger.warn({ err }, 'record not announced')
    })
  })
  return { published: () => published }
}

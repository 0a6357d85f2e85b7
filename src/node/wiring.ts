/** Who listens to what: the data flow of a node on one screen. */
import type { EventBus } from '../events/event-bus.ts'
import type { FeedReader } from '../gossip/feed-reader.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import type { Holders } from '../peers/holders.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'

export interface WiringDeps {
  readonly events: EventBus
  readonly topology: Topology
  readonly isSource: (node: NodeName) => boolean
  /** References of records about a manifest, its children and those referrers. */
  readonly referrers: (repository: RepositoryName, digest: Digest) => AsyncIterable<Reference>
  readonly dispatcher: Dispatcher
  readonly feedReader: FeedReader
  readonly holders: Holders
  readonly queue: JobQueue
}

export function wire(deps: WiringDeps): void {
  const { events, topology, isSource, referrers, dispatcher, feedReader, holders, queue } = deps

  /** A signature may be wanted only now that its image is named here. */
  function considerReferrers({ repository }: RecordKey, digest: Digest): void {
    dispatcher.considerEach(repository, referrers(repository, digest))
  }

  events.on('record-stored', ({ signed: { record, writer } }) => {
    const { repository, reference } = record
    // Who signed it had it whole: where that is a source, it is a holder before its feed says so.
    const author = nodeOfPeer(topology, writer)
    if (record.kind === 'put' && author !== undefined && isSource(author)) {
      holders.note(author, repository, record.digest)
    }
    dispatcher.consider({ repository, reference })
    if (record.kind === 'put') considerReferrers({ repository, reference }, record.digest)
  })
  events.on('visible-changed', ({ key, digest }) => {
    if (digest !== undefined) considerReferrers(key, digest)
    // The collector let go of it: its image may have been named again since the collector looked.
    else dispatcher.consider(key)
  })
  events.on('holder-found', ({ node, repository, digest, platforms }) => {
    holders.note(node, repository, digest, platforms)
    queue.wake(repository, digest)
    dispatcher.considerGivenUp({ repository, reference: digest })
  })
  events.on('feed-restarted', ({ node }) => holders.forgetNode(node))
  events.on('neighbour-up', ({ node }) => {
    const peerId = topology.nodes.get(node)?.peerId
    if (!isSource(node) || peerId === undefined) return
    feedReader.follow(node, peerId as PeerId)
    queue.wakeAll()
  })
  events.on('neighbour-down', ({ node }) => feedReader.unfollow(node))
}

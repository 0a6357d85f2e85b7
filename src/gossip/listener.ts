/** The listener: messages on the topics are judged before they are forwarded; what is new here is stored. */
import type { Logger } from '../lib/logger.ts'
import { merge } from '../record/history.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { GroupTopic } from '../topology/groups.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Admission } from './admission.ts'
import type { GossipMessage, GossipVerdict, Network } from './network.ts'
import type { Receiver } from './receiver.ts'

export interface ListenerDeps {
  readonly network: Pick<Network, 'join'>
  readonly topics: readonly GroupTopic[]
  readonly topology: Topology
  readonly admission: Admission
  readonly receiver: Receiver
  readonly ledger: Ledger
  readonly logger: Logger
}

/** Joins the topics. */
export function createListener(deps: ListenerDeps): void {
  const { network, topology, admission, receiver, ledger, logger } = deps

  function judge(topic: GroupTopic, { from, data }: GossipMessage): GossipVerdict {
    const sender = nodeOfPeer(topology, from)
    if (sender === undefined || !topic.receives) return 'reject'
    if (!topic.group.senders.includes(sender)) {
      // Only a sending end may hand over news. Another receiver that is connected by a link of its own is no culprit:
      // gossipsub passes on to every member of the topic that it sees.
      return topic.group.receivers.includes(sender) ? 'ignore' : 'reject'
    }
    const verdict = admission.check(data)
    if (verdict.kind === 'invalid') {
      receiver.report(verdict, sender)
      return 'reject'
    }
    // A generation of the file in which its writer counts may be on its way: nobody is to blame, nothing is passed on.
    if (verdict.kind === 'parked') {
      receiver.report(verdict, sender)
      return 'ignore'
    }
    const { signed } = verdict
    if (!topic.filter.reads(signed.record.repository)) return 'reject'
    if (isKnown(signed)) return 'ignore'
    store(signed, sender, topic.topic)
    return 'accept'
  }

  function isKnown(signed: SignedRecord): boolean {
    const entry = ledger.entry(signed.record)
    return entry !== undefined && merge(entry.history, signed).kind === 'known'
  }

  function store(signed: SignedRecord, from: NodeName, topic: string): void {
    const arrival = { via: 'gossip', from, topic } as const
    receiver.receive([{ kind: 'admitted', signed }], arrival).catch((err: unknown) => {
      // The neighbour's feed brings it again.
      logger.warn({ err }, 'announced record not stored')
    })
  }

  for (const topic of deps.topics) network.join(topic.topic, (message) => judge(topic, message))
}

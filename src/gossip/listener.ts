/** The listener: messages on the topics are judged before they are forwarded; what is new here is stored. */
import type { Logger } from '../lib/logger.ts'
import { merge } from '../record/history.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { GroupTopic } from '../topology/groups.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'
import type { Admission, Verdict } from './admission.ts'
import { createInbox } from './inbox.ts'
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
  const { network, topology, admission, receiver, ledger } = deps
  const inbox = createInbox(deps)

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
    if (verdict.kind === 'parked') receiver.report(verdict, sender)
    if (!topic.filter.reads(verdict.signed.record.repository)) return 'reject'
    if (!isNews(verdict)) return 'ignore'
    return inbox.put(verdict, { via: 'gossip', from: sender, topic: topic.topic })
      ? 'accept'
      : 'ignore'
  }

  function isNews(verdict: Exclude<Verdict, { readonly kind: 'invalid' }>): boolean {
    if (verdict.kind === 'admitted') return !isKnown(verdict.signed)
    // A generation of the file in which its writer counts may be on its way: nobody is to blame, nothing is passed on.
    // A record from the future goes on: those who come next have another time, or wait like this node.
    return verdict.reason === 'future' && receiver.parks(verdict)
  }

  function isKnown(signed: SignedRecord): boolean {
    const entry = ledger.entry(signed.record)
    if (entry === undefined) return false
    const merged = merge(entry.history, signed)
    return merged.kind === 'known' && !merged.cloned
  }

  for (const topic of deps.topics) network.join(topic.topic, (message) => judge(topic, message))
}

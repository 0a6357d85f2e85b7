/** The network as those see it who deal with members alone: peers that are let in for another reason do not show up. */
import type { PeerId } from '../record/peer-id.ts'
import type { Network } from './network.ts'

export function membersOnly(network: Network, isMember: (peer: PeerId) => boolean): Network {
  return {
    ...network,
    connected: () => network.connected().filter(isMember),
    handle: (protocol, answer) =>
      network.handle(protocol, (frame, context) => {
        if (!isMember(context.peer)) throw new Error('asked by a peer that is not in the topology')
        return answer(frame, context)
      }),
    join: (topic, validate) =>
      network.join(topic, (message) => (isMember(message.from) ? validate(message) : 'ignore')),
    onUp: (listener) =>
      network.onUp((peer) => {
        if (isMember(peer)) listener(peer)
      }),
    onDown: (listener) =>
      network.onDown((peer) => {
        if (isMember(peer)) listener(peer)
      }),
  }
}

/** Steps that the Network contract is told in, over any implementation. */
import type {
  ChannelHandler,
  GossipMessage,
  GossipVerdict,
  Network,
} from '../../src/gossip/network.ts'
import type { PeerId } from '../../src/record/peer-id.ts'

export interface NetworkRig extends AsyncDisposable {
  peerOf(name: string): PeerId
  /** A network, not started, that lets its neighbours in and keeps them connected. Disposed with the rig at the latest. */
  node(name: string, neighbours: readonly string[]): Promise<Network>
  /** Lets time pass until the condition holds. @throws when it does not within half a minute. */
  until(condition: () => boolean): Promise<void>
  /** Milliseconds, of the networks' clock. */
  now(): number
}

export const PROTOCOL = '/test/echo/1'
export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (data: Uint8Array): string => Buffer.from(data).toString()

export type NetworkSteps = ReturnType<typeof createNetworkSteps>

export function createNetworkSteps(rig: NetworkRig) {
  /** The value of a promise that needs time to pass. */
  async function come<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    promise.then(settle, settle)
    await rig.until(() => isSettled)
    return promise
  }

  /** Joins and keeps what comes, as `payload from name`. */
  function listen(network: Network, topic: string, verdict: GossipVerdict = 'accept'): string[] {
    const heard: string[] = []
    network.join(topic, ({ from, data }: GossipMessage) => {
      const who = ['a', 'b', 'c', 'd'].find((one) => rig.peerOf(one) === from)
      heard.push(`${text(data)} from ${who}`)
      return verdict
    })
    return heard
  }

  const areConnected = (network: Network, ...names: string[]) =>
    names.every((one) => network.connected().includes(rig.peerOf(one)))

  /** Publishes again and again, as others do not know yet who joined what. */
  async function publishUntil(
    network: Network,
    topic: string,
    payload: string,
    condition: () => boolean,
  ): Promise<void> {
    let round = 0
    let last = rig.now()
    await rig.until(() => {
      if (round === 0 || rig.now() - last > 50) {
        last = rig.now()
        round += 1
        void network.publish(topic, bytes(`${payload} ${round}`))
      }
      return condition()
    })
  }

  async function pair(configure: {
    readonly a?: (network: Network) => void
    readonly b?: (network: Network) => void
  }) {
    const a = await rig.node('a', ['b'])
    configure.a?.(a)
    await a.start()
    const b = await rig.node('b', ['a'])
    configure.b?.(b)
    await b.start()
    await rig.until(() => areConnected(a, 'b') && areConnected(b, 'a'))
    return { a, b }
  }

  /** Two neighbours, of which b answers. */
  const answering = (answer: ChannelHandler) =>
    pair({ b: (network) => network.handle(PROTOCOL, answer) })

  async function line(configure: (a: Network, b: Network, c: Network) => void) {
    const a = await rig.node('a', ['b'])
    await a.start()
    const b = await rig.node('b', ['a', 'c'])
    await b.start()
    const c = await rig.node('c', ['b'])
    await c.start()
    configure(a, b, c)
    await rig.until(() => areConnected(b, 'a', 'c') && areConnected(a, 'b') && areConnected(c, 'b'))
    return { a, b, c }
  }

  return { come, listen, areConnected, publishUntil, pair, answering, line }
}

/** What every Network must do: run over libp2p on loopback and over the simulated one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type ChannelHandler,
  type GossipMessage,
  type GossipVerdict,
  MAX_FRAME_BYTES,
  type Network,
} from '../../src/gossip/network.ts'
import type { PeerId } from '../../src/record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../../src/record/tag-record.ts'

export interface NetworkRig extends AsyncDisposable {
  peerOf(name: string): PeerId
  /** A network, not started, that lets its neighbours in and keeps them connected. Disposed with the rig at the latest. */
  node(name: string, neighbours: readonly string[]): Promise<Network>
  /** Lets time pass until the condition holds. @throws when it does not within half a minute. */
  until(condition: () => boolean): Promise<void>
  /** Milliseconds, of the networks' clock. */
  now(): number
}

/** Milliseconds: real sockets on a busy machine. */
const TIMEOUT = 40_000
const PROTOCOL = '/test/echo/1'
const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (data: Uint8Array): string => Buffer.from(data).toString()

export function networkContract(name: string, createRig: () => Promise<NetworkRig>): void {
  let rig: NetworkRig
  beforeEach(async () => {
    rig = await createRig()
  })
  afterEach(async () => {
    await rig[Symbol.asyncDispose]()
  })

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

  describe(`the ${name} network`, { timeout: TIMEOUT }, () => {
    test('neighbours are connected, and each is told once', async () => {
      const told: string[] = []
      const { a, b } = await pair({
        a: (network) => network.onUp((peer) => told.push(`a: ${peer}`)),
        b: (network) => network.onUp((peer) => told.push(`b: ${peer}`)),
      })
      expect(told.sort()).toEqual([`a: ${rig.peerOf('b')}`, `b: ${rig.peerOf('a')}`])
      expect(a.connected()).toEqual([rig.peerOf('b')])
      expect(b.connected()).toEqual([rig.peerOf('a')])
      expect(a.addresses().length).toBeGreaterThan(0)
    })

    test('a neighbour that stops is gone, and there again after it starts anew', async () => {
      const { a, b } = await pair({})
      const down: PeerId[] = []
      const ownDown: PeerId[] = []
      a.onDown((peer) => down.push(peer))
      b.onDown((peer) => ownDown.push(peer))
      await come(Promise.resolve(b[Symbol.asyncDispose]()))
      await rig.until(() => down.length > 0)
      expect(down).toEqual([rig.peerOf('b')])
      expect(ownDown).toEqual([rig.peerOf('a')])
      expect(a.connected()).toEqual([])
      const again = await rig.node('b', ['a'])
      await again.start()
      await rig.until(() => areConnected(a, 'b') && areConnected(again, 'a'))
      expect(down).toHaveLength(1)
    })

    test('a stranger is let nowhere, and reported once', async () => {
      const a = await rig.node('a', ['b'])
      const strangers: string[] = []
      const up: PeerId[] = []
      a.onStranger((peer) => strangers.push(peer))
      a.onUp((peer) => up.push(peer))
      const heard = listen(a, 'news')
      await a.start()
      const d = await rig.node('d', ['a'])
      d.join('news', () => 'accept')
      await d.start()
      await rig.until(() => strangers.length > 0)
      const b = await rig.node('b', ['a'])
      b.join('news', () => 'accept')
      await b.start()
      await d.publish('news', bytes('let me in'))
      await publishUntil(b, 'news', 'hello', () => heard.length > 0)
      expect(heard.every((one) => one.endsWith('from b'))).toBe(true)
      expect(strangers).toEqual([rig.peerOf('d')])
      expect(up).toEqual([rig.peerOf('b')])
    })

    test('a peer that is cut off is gone, and comes back when the time is over', async () => {
      const { a, b } = await pair({})
      const down: PeerId[] = []
      b.onDown((peer) => down.push(peer))
      const since = rig.now()
      await come(a.cutOff(rig.peerOf('b'), 1_500))
      await rig.until(() => down.length === 1 && a.connected().length === 0)
      await rig.until(() => areConnected(a, 'b'))
      expect(rig.now() - since).toBeGreaterThanOrEqual(1_500)
    })

    test('what is published reaches the members of the topic, and not its sender', async () => {
      let own: string[] = []
      let heard: string[] = []
      const { a } = await pair({
        a: (network) => {
          own = listen(network, 'news')
        },
        b: (network) => {
          heard = listen(network, 'news')
        },
      })
      await publishUntil(a, 'news', 'hello', () => heard.length > 0)
      expect(heard[0]).toMatch(/^hello \d+ from a$/)
      expect(own).toEqual([])
    })

    test('publishing where nobody listens is no error', async () => {
      const a = await rig.node('a', ['b'])
      await a.start()
      await come(a.publish('news', bytes('hello')))
    })

    test('an accepted message goes on along a line, from neighbour to neighbour', async () => {
      let heard: string[] = []
      const { a } = await line((one, two, three) => {
        listen(one, 'news')
        listen(two, 'news')
        heard = listen(three, 'news')
      })
      await publishUntil(a, 'news', 'hello', () => heard.length > 0)
      expect(heard[0]).toMatch(/ from b$/)
    })

    test.each(['ignore', 'reject'] as const)(
      'a message judged %s goes no further',
      async (verdict) => {
        let middle: string[] = []
        let heard: string[] = []
        const { a, b } = await line((one, two, three) => {
          listen(one, 'news')
          middle = listen(two, 'news', verdict)
          heard = listen(three, 'news')
        })
        await publishUntil(a, 'news', 'bad', () => middle.length > 2)
        await publishUntil(b, 'news', 'good', () => heard.length > 0)
        expect(heard.every((one) => /^good \d+ from b$/.test(one))).toBe(true)
      },
    )

    test('a node that did not join hears nothing and passes nothing on', async () => {
      let heard: string[] = []
      let other: string[] = []
      const { a, b } = await line((one, two, three) => {
        listen(one, 'news')
        listen(two, 'other')
        heard = listen(three, 'news')
        other = listen(three, 'other')
      })
      let rounds = 0
      await publishUntil(b, 'other', 'marker', () => {
        rounds += 1
        void a.publish('news', bytes(`hidden ${rounds}`))
        return other.length > 2
      })
      expect(heard).toEqual([])
    })

    test('a judge that throws counts as ignoring, and the next message is judged', async () => {
      let calls = 0
      let heard: string[] = []
      const { a } = await line((one, two, three) => {
        listen(one, 'news')
        two.join('news', () => {
          calls += 1
          if (calls === 1) throw new Error('broken on purpose')
          return 'accept'
        })
        heard = listen(three, 'news')
      })
      await publishUntil(a, 'news', 'hello', () => calls > 0)
      await publishUntil(a, 'news', 'again', () => heard.length > 0)
      expect(heard.every((one) => !one.startsWith('hello 1 '))).toBe(true)
    })

    test('the same payload on two topics is two messages, and twice on one is one', async () => {
      let first: string[] = []
      let second: string[] = []
      const { a } = await pair({
        b: (network) => {
          first = listen(network, 'first')
          second = listen(network, 'second')
        },
      })
      await publishUntil(a, 'first', 'x', () => first.length > 0)
      await publishUntil(a, 'second', 'y', () => second.length > 0)
      for (const topic of ['first', 'second', 'first', 'second']) {
        await come(a.publish(topic, bytes('same')))
      }
      const isSame = (one: string) => one === 'same from a'
      await rig.until(() => first.some(isSame) && second.some(isSame))
      await publishUntil(a, 'first', 'z', () => first.some((one) => one.startsWith('z ')))
      expect(first.filter(isSame)).toHaveLength(1)
      expect(second.filter(isSame)).toHaveLength(1)
    })

    test('a message larger than a record is never judged', async () => {
      const sizes: number[] = []
      const { a } = await pair({
        b: (network) =>
          network.join('news', ({ data }) => {
            sizes.push(data.length)
            return 'accept'
          }),
      })
      await publishUntil(a, 'news', 'small', () => sizes.length > 0)
      await come(a.publish('news', Buffer.alloc(MAX_RECORD_BYTES + 1, 'x')))
      await come(a.publish('news', Buffer.alloc(MAX_RECORD_BYTES, 'x')))
      await rig.until(() => sizes.includes(MAX_RECORD_BYTES))
      expect(Math.max(...sizes)).toBe(MAX_RECORD_BYTES)
    })

    test('a channel carries question and answer, as often as wanted', async () => {
      const askers: PeerId[] = []
      const { a } = await answering(async (frame, { peer }) => {
        askers.push(peer)
        return bytes(`${text(frame)}!`)
      })
      const channel = await come(a.open(rig.peerOf('b'), PROTOCOL))
      for (const question of ['one', 'two', '']) {
        expect(text(await come(channel.request(bytes(question))))).toBe(`${question}!`)
      }
      expect(new Set(askers)).toEqual(new Set([rig.peerOf('a')]))
      await channel.close()
    })

    test('a frame of the largest size goes both ways, a larger one is refused at once', async () => {
      const { a } = await answering(async (frame) => frame)
      const channel = await come(a.open(rig.peerOf('b'), PROTOCOL))
      const largest = Buffer.alloc(MAX_FRAME_BYTES, 7)
      expect(Buffer.compare(await come(channel.request(largest)), largest)).toBe(0)
      const larger = Buffer.alloc(MAX_FRAME_BYTES + 1)
      await expect(channel.request(larger)).rejects.toThrow(RangeError)
    })

    test('an answer that throws ends its channel, and no other', async () => {
      const { a } = await answering(async (frame) => {
        if (text(frame) === 'bad') throw new Error('broken on purpose')
        return frame
      })
      const good = await come(a.open(rig.peerOf('b'), PROTOCOL))
      const bad = await come(a.open(rig.peerOf('b'), PROTOCOL))
      await expect(come(bad.request(bytes('bad')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await expect(come(bad.request(bytes('ok')))).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
      expect(text(await come(good.request(bytes('ok'))))).toBe('ok')
    })

    test('who asks gives up with its own reason, and the answering side is told', async () => {
      const ended: string[] = []
      let isAsked = false
      const { a } = await answering(async (frame, { signal }) => {
        if (text(frame) === 'now') return frame
        isAsked = true
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended.push('aborted')
        throw signal.reason
      })
      const channel = await come(a.open(rig.peerOf('b'), PROTOCOL))
      expect(text(await come(channel.request(bytes('now'))))).toBe('now')
      const stop = new AbortController()
      const request = channel.request(bytes('wait'), { signal: stop.signal })
      const refused = expect(come(request)).rejects.toThrow('enough')
      await rig.until(() => isAsked)
      stop.abort(new Error('enough'))
      await refused
      await rig.until(() => ended.length > 0)
    })

    test('closing a channel tells the answering side', async () => {
      let isAborted = false
      let isAsked = false
      const { a } = await answering(async (_frame, { signal }) => {
        isAsked = true
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        isAborted = true
        throw signal.reason
      })
      const channel = await come(a.open(rig.peerOf('b'), PROTOCOL))
      const refused = expect(come(channel.request(bytes('wait')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await rig.until(() => isAsked)
      await come(channel.close())
      await refused
      await rig.until(() => isAborted)
    })

    test('a request whose peer stops is refused soon', async () => {
      let isAsked = false
      const { a, b } = await answering((_frame, { signal }) => {
        isAsked = true
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('over')))
        })
      })
      const channel = await come(a.open(rig.peerOf('b'), PROTOCOL))
      const refused = expect(come(channel.request(bytes('wait')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await rig.until(() => isAsked)
      const since = rig.now()
      await come(Promise.resolve(b[Symbol.asyncDispose]()))
      await refused
      expect(rig.now() - since).toBeLessThan(2_000)
    })

    test('no channel opens to a peer that is not connected, or for a protocol nobody answers', async () => {
      const { a } = await pair({})
      await expect(come(a.open(rig.peerOf('c'), PROTOCOL))).rejects.toMatchObject({
        code: 'PEER_NOT_CONNECTED',
      })
      const ask = async () => {
        const channel = await a.open(rig.peerOf('b'), '/test/unknown/1')
        return channel.request(bytes('hello'))
      }
      await expect(come(ask())).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
    })
  })
}

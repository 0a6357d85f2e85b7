/** What every Network must do: run over libp2p on loopback and over the simulated one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_FRAME_BYTES } from '../../src/gossip/network.ts'
import type { PeerId } from '../../src/record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../../src/record/tag-record.ts'
import {
  bytes,
  createNetworkSteps,
  type NetworkRig,
  type NetworkSteps,
  PROTOCOL,
  text,
} from './network-steps.ts'

/** Milliseconds: real sockets on a busy machine. */
const TIMEOUT = 40_000

export function networkContract(name: string, createRig: () => Promise<NetworkRig>): void {
  let rig: NetworkRig
  let steps: NetworkSteps
  beforeEach(async () => {
    rig = await createRig()
    steps = createNetworkSteps(rig)
  })
  afterEach(async () => {
    await rig[Symbol.asyncDispose]()
  })

  describe(`the ${name} network`, { timeout: TIMEOUT }, () => {
    test('neighbours are connected, and each is told once', async () => {
      const told: string[] = []
      const { a, b } = await steps.pair({
        a: (network) => network.onUp((peer) => told.push(`a: ${peer}`)),
        b: (network) => network.onUp((peer) => told.push(`b: ${peer}`)),
      })
      expect(told.sort()).toEqual([`a: ${rig.peerOf('b')}`, `b: ${rig.peerOf('a')}`])
      expect(a.connected()).toEqual([rig.peerOf('b')])
      expect(b.connected()).toEqual([rig.peerOf('a')])
      expect(a.addresses().length).toBeGreaterThan(0)
    })

    test('a neighbour that stops is gone, and there again after it starts anew', async () => {
      const { a, b } = await steps.pair({})
      const down: PeerId[] = []
      const ownDown: PeerId[] = []
      a.onDown((peer) => down.push(peer))
      b.onDown((peer) => ownDown.push(peer))
      await steps.come(Promise.resolve(b[Symbol.asyncDispose]()))
      await rig.until(() => down.length > 0)
      expect(down).toEqual([rig.peerOf('b')])
      expect(ownDown).toEqual([rig.peerOf('a')])
      expect(a.connected()).toEqual([])
      const again = await rig.node('b', ['a'])
      await again.start()
      await rig.until(() => steps.areConnected(a, 'b') && steps.areConnected(again, 'a'))
      expect(down).toHaveLength(1)
    })

    test('a stranger is let nowhere, and reported once', async () => {
      const a = await rig.node('a', ['b'])
      const strangers: string[] = []
      const up: PeerId[] = []
      a.onStranger((peer) => strangers.push(peer))
      a.onUp((peer) => up.push(peer))
      const heard = steps.listen(a, 'news')
      await a.start()
      const d = await rig.node('d', ['a'])
      d.join('news', () => 'accept')
      await d.start()
      await rig.until(() => strangers.length > 0)
      const b = await rig.node('b', ['a'])
      b.join('news', () => 'accept')
      await b.start()
      await d.publish('news', bytes('let me in'))
      await steps.publishUntil(b, 'news', 'hello', () => heard.length > 0)
      expect(heard.every((one) => one.endsWith('from b'))).toBe(true)
      expect(strangers).toEqual([rig.peerOf('d')])
      expect(up).toEqual([rig.peerOf('b')])
    })

    test('a peer that is cut off is gone, and comes back when the time is over', async () => {
      const { a, b } = await steps.pair({})
      const down: PeerId[] = []
      b.onDown((peer) => down.push(peer))
      const since = rig.now()
      await steps.come(a.cutOff(rig.peerOf('b'), 1_500))
      await rig.until(() => down.length === 1 && a.connected().length === 0)
      await rig.until(() => steps.areConnected(a, 'b'))
      expect(rig.now() - since).toBeGreaterThanOrEqual(1_500)
    })

    test('what is published reaches the members of the topic, and not its sender', async () => {
      let own: string[] = []
      let heard: string[] = []
      const { a } = await steps.pair({
        a: (network) => {
          own = steps.listen(network, 'news')
        },
        b: (network) => {
          heard = steps.listen(network, 'news')
        },
      })
      await steps.publishUntil(a, 'news', 'hello', () => heard.length > 0)
      expect(heard[0]).toMatch(/^hello \d+ from a$/)
      expect(own).toEqual([])
    })

    test('publishing where nobody listens is no error', async () => {
      const a = await rig.node('a', ['b'])
      await a.start()
      await steps.come(a.publish('news', bytes('hello')))
    })

    test('an accepted message goes on along a line, from neighbour to neighbour', async () => {
      let heard: string[] = []
      const { a } = await steps.line((one, two, three) => {
        steps.listen(one, 'news')
        steps.listen(two, 'news')
        heard = steps.listen(three, 'news')
      })
      await steps.publishUntil(a, 'news', 'hello', () => heard.length > 0)
      expect(heard[0]).toMatch(/ from b$/)
    })

    test.each(['ignore', 'reject'] as const)(
      'a message judged %s goes no further',
      async (verdict) => {
        let middle: string[] = []
        let heard: string[] = []
        const { a, b } = await steps.line((one, two, three) => {
          steps.listen(one, 'news')
          middle = steps.listen(two, 'news', verdict)
          heard = steps.listen(three, 'news')
        })
        await steps.publishUntil(a, 'news', 'bad', () => middle.length > 2)
        await steps.publishUntil(b, 'news', 'good', () => heard.length > 0)
        expect(heard.every((one) => /^good \d+ from b$/.test(one))).toBe(true)
      },
    )

    test('a node that did not join hears nothing and passes nothing on', async () => {
      let heard: string[] = []
      let other: string[] = []
      const { a, b } = await steps.line((one, two, three) => {
        steps.listen(one, 'news')
        steps.listen(two, 'other')
        heard = steps.listen(three, 'news')
        other = steps.listen(three, 'other')
      })
      let rounds = 0
      await steps.publishUntil(b, 'other', 'marker', () => {
        rounds += 1
        void a.publish('news', bytes(`hidden ${rounds}`))
        return other.length > 2
      })
      expect(heard).toEqual([])
    })

    test('a judge that throws counts as ignoring, and the next message is judged', async () => {
      let calls = 0
      let heard: string[] = []
      const { a } = await steps.line((one, two, three) => {
        steps.listen(one, 'news')
        two.join('news', () => {
          calls += 1
          if (calls === 1) throw new Error('broken on purpose')
          return 'accept'
        })
        heard = steps.listen(three, 'news')
      })
      await steps.publishUntil(a, 'news', 'hello', () => calls > 0)
      await steps.publishUntil(a, 'news', 'again', () => heard.length > 0)
      expect(heard.every((one) => !one.startsWith('hello 1 '))).toBe(true)
    })

    test('the same payload on two topics is two messages, and twice on one is one', async () => {
      let first: string[] = []
      let second: string[] = []
      const { a } = await steps.pair({
        b: (network) => {
          first = steps.listen(network, 'first')
          second = steps.listen(network, 'second')
        },
      })
      await steps.publishUntil(a, 'first', 'x', () => first.length > 0)
      await steps.publishUntil(a, 'second', 'y', () => second.length > 0)
      for (const topic of ['first', 'second', 'first', 'second']) {
        await steps.come(a.publish(topic, bytes('same')))
      }
      const isSame = (one: string) => one === 'same from a'
      await rig.until(() => first.some(isSame) && second.some(isSame))
      await steps.publishUntil(a, 'first', 'z', () => first.some((one) => one.startsWith('z ')))
      expect(first.filter(isSame)).toHaveLength(1)
      expect(second.filter(isSame)).toHaveLength(1)
    })

    test('a message larger than a record is never judged', async () => {
      const sizes: number[] = []
      const { a } = await steps.pair({
        b: (network) =>
          network.join('news', ({ data }) => {
            sizes.push(data.length)
            return 'accept'
          }),
      })
      await steps.publishUntil(a, 'news', 'small', () => sizes.length > 0)
      await steps.come(a.publish('news', Buffer.alloc(MAX_RECORD_BYTES + 1, 'x')))
      await steps.come(a.publish('news', Buffer.alloc(MAX_RECORD_BYTES, 'x')))
      await rig.until(() => sizes.includes(MAX_RECORD_BYTES))
      expect(Math.max(...sizes)).toBe(MAX_RECORD_BYTES)
    })

    test('a channel carries question and answer, as often as wanted', async () => {
      const askers: PeerId[] = []
      const { a } = await steps.answering(async (frame, { peer }) => {
        askers.push(peer)
        return bytes(`${text(frame)}!`)
      })
      const channel = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      for (const question of ['one', 'two', '']) {
        expect(text(await steps.come(channel.request(bytes(question))))).toBe(`${question}!`)
      }
      expect(new Set(askers)).toEqual(new Set([rig.peerOf('a')]))
      await channel.close()
    })

    test('a frame of the largest size goes both ways, a larger one is refused at once', async () => {
      const { a } = await steps.answering(async (frame) => frame)
      const channel = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      const largest = Buffer.alloc(MAX_FRAME_BYTES, 7)
      expect(Buffer.compare(await steps.come(channel.request(largest)), largest)).toBe(0)
      const larger = Buffer.alloc(MAX_FRAME_BYTES + 1)
      await expect(channel.request(larger)).rejects.toThrow(RangeError)
    })

    test('an answer that throws ends its channel, and no other', async () => {
      const { a } = await steps.answering(async (frame) => {
        if (text(frame) === 'bad') throw new Error('broken on purpose')
        return frame
      })
      const good = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      const bad = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      await expect(steps.come(bad.request(bytes('bad')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await expect(steps.come(bad.request(bytes('ok')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      expect(text(await steps.come(good.request(bytes('ok'))))).toBe('ok')
    })

    test('who asks gives up with its own reason, and the answering side is told', async () => {
      const ended: string[] = []
      let isAsked = false
      const { a } = await steps.answering(async (frame, { signal }) => {
        if (text(frame) === 'now') return frame
        isAsked = true
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended.push('aborted')
        throw signal.reason
      })
      const channel = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      expect(text(await steps.come(channel.request(bytes('now'))))).toBe('now')
      const stop = new AbortController()
      const request = channel.request(bytes('wait'), { signal: stop.signal })
      const refused = expect(steps.come(request)).rejects.toThrow('enough')
      await rig.until(() => isAsked)
      stop.abort(new Error('enough'))
      await refused
      await rig.until(() => ended.length > 0)
    })

    test('closing a channel tells the answering side', async () => {
      let isAborted = false
      let isAsked = false
      const { a } = await steps.answering(async (_frame, { signal }) => {
        isAsked = true
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        isAborted = true
        throw signal.reason
      })
      const channel = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      const refused = expect(steps.come(channel.request(bytes('wait')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await rig.until(() => isAsked)
      await steps.come(channel.close())
      await refused
      await rig.until(() => isAborted)
    })

    test('a request whose peer stops is refused soon', async () => {
      let isAsked = false
      const { a, b } = await steps.answering((_frame, { signal }) => {
        isAsked = true
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('over')))
        })
      })
      const channel = await steps.come(a.open(rig.peerOf('b'), PROTOCOL))
      const refused = expect(steps.come(channel.request(bytes('wait')))).rejects.toMatchObject({
        code: 'CHANNEL_CLOSED',
      })
      await rig.until(() => isAsked)
      const since = rig.now()
      await steps.come(Promise.resolve(b[Symbol.asyncDispose]()))
      await refused
      expect(rig.now() - since).toBeLessThan(2_000)
    })

    test('no channel opens to a peer that is not connected, or for a protocol nobody answers', async () => {
      const { a } = await steps.pair({})
      await expect(steps.come(a.open(rig.peerOf('c'), PROTOCOL))).rejects.toMatchObject({
        code: 'PEER_NOT_CONNECTED',
      })
      const ask = async () => {
        const channel = await a.open(rig.peerOf('b'), '/test/unknown/1')
        return channel.request(bytes('hello'))
      }
      await expect(steps.come(ask())).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
    })
  })
}

import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_FRAME_BYTES } from '../../../src/gossip/network.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import {
  createLibp2pRig,
  ECHO,
  expectEcho,
  type Libp2pRig,
  publishUntil,
  until,
} from '../../helpers/libp2p-rig.ts'

let rig: Libp2pRig
beforeEach(() => {
  rig = createLibp2pRig()
})
afterEach(async () => {
  await rig[Symbol.asyncDispose]()
})

describe('hostile peers', { timeout: 40_000 }, () => {
  test('garbage, other protocols and half-open connections on the port harm nobody', async () => {
    const a = await rig.echoAt('a', ['b'])
    for (const greeting of [
      systemRandom.bytes(70_000),
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      '\x13/multistream/1.0.0\n\x07/noise\n\xff\xff',
      '\x00',
    ]) {
      const socket = await rig.socketTo(a)
      socket.write(greeting)
    }
    // These say nothing at all.
    for (let count = 0; count < 20; count += 1) await rig.socketTo(a)
    const b = await rig.echoAt('b', ['a'])
    await until(() => b.connected().length === 1)
    await expectEcho(b, 'a')
    await expectEcho(a, 'b')
  })

  test('a frame that claims to be too large ends its channel, and the connection lives', async () => {
    const a = await rig.echoAt('a', ['b'])
    const b = await rig.rawNode('b')
    await b.dial(rig.dialAddress(a, 'a'))
    const address = rig.dialAddress(a, 'a')
    const liar = await b.dialProtocol(address, ECHO)
    // The length as a varint: 2^21 - 1.
    liar.send(Uint8Array.of(0xff, 0xff, 0x7f, 1, 2, 3))
    await until(() => liar.status !== 'open')
    // A length that never ends.
    const babbler = await b.dialProtocol(address, ECHO)
    babbler.send(new Uint8Array(16).fill(0xff))
    await until(() => babbler.status !== 'open')
    const honest = lpStream(await b.dialProtocol(address, ECHO), {
      maxDataLength: MAX_FRAME_BYTES,
    })
    await honest.write(Buffer.from('hello'))
    expect(Buffer.from((await honest.read()).subarray()).toString()).toBe('hello')
    expect(a.connected()).toEqual([rig.peerOf('b')])
  })

  test('a peer gets a limited number of channels', async () => {
    const a = await rig.echoAt('a', ['b'])
    const b = await rig.rawNode('b')
    const address = rig.dialAddress(a, 'a')
    await b.dial(address)
    const streams: Stream[] = []
    for (let count = 0; count < 40; count += 1) {
      streams.push(await b.dialProtocol(address, ECHO, { maxOutboundStreams: 100 }))
    }
    await until(() => streams.filter(({ status }) => status === 'open').length === 32)
    expect(a.connected()).toEqual([rig.peerOf('b')])
  })

  test('a peer that takes announcements and never reads them is disconnected, long before memory is full', async () => {
    const a = await rig.node('a', ['b', 'c'])
    a.join('news', () => 'accept')
    await a.start()
    const b = await rig.rawNode('b')
    await b.handle('/meshsub/1.2.0', (stream) => stream.pause(), { force: true })
    b.services.pubsub.subscribe('news')
    await b.dial(rig.dialAddress(a, 'a'))
    await until(() => a.connected().includes(rig.peerOf('b')))
    const before = process.memoryUsage().arrayBuffers
    for (let at = 0; at < 5_000 && a.connected().length > 0; at += 1) {
      await a.publish('news', Buffer.alloc(4_096, `news ${at} `))
      if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => a.connected().length === 0)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
  })

  test('garbage in place of gossip silences its sender alone', async () => {
    const heard: string[] = []
    const a = await rig.node('a', ['b', 'c'])
    a.join('news', ({ from }) => {
      heard.push(from)
      return 'accept'
    })
    await a.start()
    const b = await rig.rawNode('b')
    await b.dial(rig.dialAddress(a, 'a'))
    const stream = await b.dialProtocol(rig.dialAddress(a, 'a'), '/meshsub/1.2.0')
    const frames = lpStream(stream)
    await frames.write(systemRandom.bytes(2_000))
    stream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x40, 1, 2, 3))
    const c = await rig.node('c', ['a'])
    await c.start()
    await publishUntil(
      (n) => c.publish('news', Buffer.from(`news ${n}`)),
      () => heard.includes(rig.peerOf('c')),
    )
  })
})

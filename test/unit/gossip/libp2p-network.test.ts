import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLibp2pNetwork } from '../../../src/gossip/libp2p-network.ts'
import type { Network } from '../../../src/gossip/network.ts'
import { joinTopic } from '../../../src/gossip/topic-wire.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import {
  createLibp2pRig,
  ECHO,
  eventually,
  expectEcho,
  hostOf,
  identityOf,
  type Libp2pRig,
  LOOPBACK,
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

describe('the libp2p network', { timeout: 40_000 }, () => {
  test('a peer that connects anew replaces its dead connection, for channels and for news', async () => {
    // A node lost its power: nobody closed its connection, so the other end believes in it until a ping fails. The node
    // is back and dials. Kept by age, the dead connection would win; and gossipsub would go on writing into it.
    const a = await rig.node('a', ['b'])
    await a.start()
    const proxy = await freezableProxy(a)
    const before = await rig.rawNode('b')
    await before.dial(multiaddr(`${proxy.address}/p2p/${rig.peerOf('a')}`))
    await until(() => a.connected().length === 1)
    const down: string[] = []
    a.onDown((peer) => down.push(peer))
    proxy.freeze()

    const again = await rig.rawNode('b')
    const heard: string[] = []
    joinTopic(
      again.services.pubsub,
      'news',
      ({ data }) => {
        heard.push(Buffer.from(data).toString())
        return 'accept'
      },
      silentLogger,
    )
    await again.handle(ECHO, async (stream) => {
      const frames = lpStream(stream)
      await frames.write((await frames.read()).subarray())
    })
    await again.dial(rig.dialAddress(a, 'a'))
    await eventually(() => expectEcho(a, 'b'))
    await publishUntil(
      (n) => a.publish('news', Buffer.from(`news ${n}`)),
      () => heard.length > 0,
    )
    expect(down).toEqual([])
  })

  test('of two connections one stays, and news flow on both ways', async () => {
    const a = await rig.node('a', ['b'])
    const heardByA: string[] = []
    a.join('news', () => {
      heardByA.push('news')
      return 'ignore'
    })
    await a.start()
    const b = await rig.rawNode('b')
    let heardByB = 0
    joinTopic(
      b.services.pubsub,
      'news',
      () => {
        heardByB += 1
        return 'ignore'
      },
      silentLogger,
    )
    const address = rig.dialAddress(a, 'a')
    await b.dial(address)
    await publishUntil(
      (n) => a.publish('news', Buffer.from(`first ${n}`)),
      () => heardByB > 0,
    )
    await b.dial(address, { force: true })
    await until(() => b.getConnections().filter(({ status }) => status === 'open').length === 1)
    heardByB = 0
    await publishUntil(
      (n) => a.publish('news', Buffer.from(`second ${n}`)),
      () => heardByB > 0,
    )
    // What `libp2p-network` does at its own end when a connection closes; this end has only libp2p.
    b.services.links.attach(b.getPeers()[0]!, b.getConnections())
    await publishUntil(
      (n) => b.services.pubsub.publish('news', Buffer.from(`third ${n}`)),
      () => heardByA.length > 0,
    )
    expect(a.connected()).toEqual([rig.peerOf('b')])
  })

  test('news flow on over the connection that is left, whichever closes', async () => {
    // Nobody dedupes here: a keeps no connections, it only lets b in.
    const deps = { isAllowed: () => true, neighbours: [], clock: systemClock }
    const a = await createLibp2pNetwork(
      { ...deps, identity: identityOf('a'), random: systemRandom, logger: silentLogger },
      { listen: [LOOPBACK] },
    )
    rig.defer(() => a[Symbol.asyncDispose]())
    await a.start()
    const b = await rig.rawNode('b')
    let heard = 0
    joinTopic(
      b.services.pubsub,
      'news',
      () => {
        heard += 1
        return 'accept'
      },
      silentLogger,
    )
    const address = rig.dialAddress(a, 'a')
    let count = 0
    const publish = () => {
      count += 1
      return a.publish('news', Buffer.from(`news ${count}`))
    }
    const older = await b.dial(address)
    await publishUntil(publish, () => heard > 0)
    const identified = once(b as never, 'peer:identify')
    const newer = await b.dial(address, { force: true })
    await identified
    // So that a has looked at the second connection too: its answer comes after.
    await b.services.ping.ping(address)
    await older.close()
    await until(() => older.status === 'closed')
    heard = 0
    await publishUntil(publish, () => heard > 0)
    expect(newer.status).toBe('open')
  })

  test('where both ends dial, one connection stays and nobody is told of a loss', async () => {
    const told: string[] = []
    const first = await rig.node('a', ['b'])
    await first.start()
    const listen = first.addresses()[0]!
    await first[Symbol.asyncDispose]()
    const b = await rig.nodeAt('b', ['a'], { addresses: { a: listen } })
    b.onDown(() => told.push('b lost a'))
    await b.start()
    const a = await rig.nodeAt('a', ['b'], { listen, addresses: { b: b.addresses()[0]! } })
    a.onDown(() => told.push('a lost b'))
    a.handle(ECHO, async (frame) => frame)
    await a.start()
    await until(() => a.connected().length === 1 && b.connected().length === 1)
    await expectEcho(b, 'a')
    expect(told).toEqual([])
  })

  test('the greater peer id dials too, where the smaller one has no address', async () => {
    const b = await rig.nodeAt('b', ['a'], {})
    await b.start()
    const a = await rig.node('a', ['b'])
    expect(rig.peerOf('a') > rig.peerOf('b')).toBe(true)
    await a.start()
    await until(() => a.connected().length === 1 && b.connected().length === 1)
  })

  test('a peer that is refused asks again more and more slowly', async () => {
    // libp2p says "connected" to who is refused, and hangs up a moment later.
    const strict = await rig.node('a', [])
    await strict.start()
    const refused = await rig.node('b', ['a'])
    const ups: number[] = []
    refused.onUp(() => ups.push(Date.now()))
    await refused.start()
    await until(() => ups.length >= 4)
    const [first = 0, , third = 0, fourth = 0] = ups
    // Between half the bound and the bound, doubled each time: at least 250 + 500, then 1000 ms.
    expect(third - first).toBeGreaterThanOrEqual(700)
    expect(fourth - third).toBeGreaterThanOrEqual(900)
  })

  test('sixteen neighbours behind one address all hear the news', async () => {
    const names = Array.from({ length: 16 }, (_, at) => `edge ${at}`)
    const hub = await rig.node('hub', names)
    await hub.start()
    const heard = new Set<string>()
    for (const name of names) {
      const edge = await rig.node(name, ['hub'])
      edge.join('news', () => {
        heard.add(name)
        return 'accept'
      })
      await edge.start()
    }
    await until(() => hub.connected().length === names.length)
    await publishUntil(
      (n) => hub.publish('news', Buffer.from(`news ${n}`)),
      () => heard.size === names.length,
    )
  })

  test('who is let in and is no member is answered, and neither hears nor tells news', async () => {
    const a = await rig.nodeAt('a', ['b', 'c'], { members: ['b'] })
    const heard: string[] = []
    const listen = (network: Network, name: string) =>
      network.join('news', ({ data }) => {
        heard.push(`${name}: ${Buffer.from(data).toString()}`)
        return 'accept'
      })
    listen(a, 'a')
    a.handle(ECHO, async (frame) => frame)
    await a.start()
    const [b, c] = [await rig.node('b', ['a']), await rig.node('c', ['a'])]
    listen(b, 'b')
    listen(c, 'c')
    await b.start()
    await c.start()
    await until(() => a.connected().length === 2)
    await expectEcho(c, 'a')
    // C's news is older than B's, and its subscription as old: it would be there first.
    await publishUntil(
      async (n) => {
        await c.publish('news', Buffer.from(`c ${n}`))
        await a.publish('news', Buffer.from(`a ${n}`))
        await b.publish('news', Buffer.from(`b ${n}`))
      },
      () => heard.filter((one) => one.startsWith('b: a')).length > 2 && heard.includes('a: b 20'),
    )
    expect(heard.filter((one) => one.startsWith('c: ') || one.includes(': c '))).toEqual([])
  })

  test('it stops within two seconds, whatever is under way', async () => {
    const a = await rig.node('a', ['b', 'c'])
    let isAsked = false
    a.handle(ECHO, (_frame, { signal }) => {
      isAsked = true
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('over')))
      })
    })
    await a.start()
    // c is never there: a dial and a back-off are pending.
    const b = await rig.node('b', ['a'])
    await b.start()
    await until(() => b.connected().length === 1)
    const channel = await b.open(rig.peerOf('a'), ECHO)
    const refused = expect(channel.request(Buffer.from('wait'))).rejects.toThrow()
    await rig.socketTo(a)
    await until(() => isAsked)
    const sinceMs = Date.now()
    await a[Symbol.asyncDispose]()
    expect(Date.now() - sinceMs).toBeLessThan(2_000)
    await refused
    await a[Symbol.asyncDispose]()
  })

  test('a port that is taken is an error at start that names the address', async () => {
    const a = await rig.echoAt('a', ['b'])
    const listen = a.addresses()[0]!
    const b = await rig.nodeAt('b', ['a'], { listen })
    await expect(b.start()).rejects.toThrow(listen)
  })

  test('a seed that does not belong to the peer id is refused', async () => {
    const identity = { ...identityOf('a'), peerId: rig.peerOf('b') }
    const deps = {
      identity,
      isAllowed: () => true,
      neighbours: [],
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    }
    await expect(createLibp2pNetwork(deps, { listen: [LOOPBACK] })).rejects.toMatchObject({
      code: 'PEER_ID_MISMATCH',
    })
  })
})

/** Carries bytes until it freezes: then it carries nothing and closes nothing. */
async function freezableProxy(network: Network) {
  const sockets: Socket[] = []
  let isFrozen = false
  const server = createServer((incoming) => {
    const { host, port } = hostOf(network)
    const outgoing = connect(port, host)
    sockets.push(incoming, outgoing)
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      from.on('error', () => {})
      from.on('data', (chunk) => {
        if (!isFrozen) to.write(chunk)
      })
      from.on('close', () => {
        if (!isFrozen) to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  rig.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    address: `/ip4/127.0.0.1/tcp/${address.port}`,
    freeze: () => {
      isFrozen = true
    },
  }
}

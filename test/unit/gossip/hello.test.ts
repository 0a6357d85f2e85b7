import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { createHello } from '../../../src/gossip/hello.ts'
import { encodeHello, HELLO_PROTOCOL } from '../../../src/gossip/hello-codec.ts'
import type { Network } from '../../../src/gossip/network.ts'
import { type Logger, silentLogger } from '../../../src/lib/logger.ts'
import { createNeighbours } from '../../../src/peers/neighbours.ts'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import { createSeededRandom } from '../../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../../src/simulator/sim-network.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'

const TOPOLOGY = starTopology(['edge'])
const [hub, edge] = ['hub', 'edge'] as NodeName[] as [NodeName, NodeName]
/** Of the two the one with the smaller peer id asks. */
const [first, second] = peerIdOfName(hub) < peerIdOfName(edge) ? [hub, edge] : [edge, hub]

function setUp() {
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom('hello')
  const rates = { dropRate: 0, duplicateRate: 0, maxDelayMs: 10 }
  const sim = createSimHub({ clock, random }, rates)
  const other = (name: NodeName) => (name === hub ? edge : hub)
  const networkOf = (name: NodeName) => sim.network(peerIdOfName(name), [peerIdOfName(other(name))])

  function greeter(name: NodeName, topology: Topology = TOPOLOGY, offsetMs = 0) {
    const network = networkOf(name)
    const events = createEventBus({ logger: silentLogger })
    const neighbours = createNeighbours({ topology, self: name, clock })
    const happened: string[] = []
    const errors: object[] = []
    const logger: Logger = {
      ...silentLogger,
      error: (fields) => void errors.push(fields),
      child: () => logger,
    }
    events.on('neighbour-up', ({ node }) => void happened.push(`${node} up`))
    events.on('neighbour-down', ({ node }) => void happened.push(`${node} down`))
    let issued = 0
    const served = { fingerprints: [`${name === hub ? 'a' : 'b'}`.repeat(64)] }
    const greet = createHello({
      network,
      topology,
      neighbours,
      self: {
        peerId: peerIdOfName(name),
        epoch: `epoch of ${name}`,
        endpoint: `http://${name}`,
        fingerprints: () => served.fingerprints,
      },
      issueToken: (node) => {
        issued += 1
        return `token number ${issued} for ${node}`
      },
      events,
      clock: clock.shifted(() => offsetMs),
      random,
      logger,
    })
    return {
      network,
      neighbours,
      happened,
      errors,
      issued: () => issued,
      served,
      again: greet.again,
    }
  }

  async function advance(ms: number): Promise<void> {
    const until = clock.now() + ms
    await settle()
    while (clock.step(until)) await settle()
    // The time itself passes too.
    void clock.sleep(until - clock.now())
    clock.step(until)
    await settle()
  }
  return { sim, clock, networkOf, greeter, advance }
}

const start = (...networks: Network[]) => Promise.all(networks.map((network) => network.start()))

describe('the hello', () => {
  test('after one exchange both ends know each other', async () => {
    const { greeter, advance } = setUp()
    const [a, b] = [greeter(first), greeter(second, TOPOLOGY, 5_000)]
    await start(a.network, b.network)
    await advance(100)
    expect(a.happened).toEqual([`${second} up`])
    expect(b.happened).toEqual([`${first} up`])
    expect(a.neighbours.list()[0]?.facts).toMatchObject({
      generation: 1,
      topologyHash: TOPOLOGY.hash,
      epoch: `epoch of ${second}`,
      endpoint: `http://${second}`,
      token: `token number 1 for ${first}`,
    })
    const offset = a.neighbours.list()[0]?.clock?.offsetMs ?? 0
    expect(Math.abs(offset - 5_000)).toBeLessThan(50)
    // The second one's turn comes, and it has nothing to ask.
    await advance(60_000)
    expect(a.issued()).toBe(1)
    expect(a.happened).toHaveLength(1)
  })

  test('a neighbour that is lost is down, and up again after the next hello', async () => {
    const { greeter, advance, sim } = setUp()
    const [a, b] = [greeter(hub), greeter(edge)]
    await start(a.network, b.network)
    await advance(100)
    sim.setLink(peerIdOfName(hub), peerIdOfName(edge), false)
    await advance(100)
    sim.setLink(peerIdOfName(hub), peerIdOfName(edge), true)
    await advance(100)
    expect(a.happened).toEqual(['edge up', 'edge down', 'edge up'])
    expect(b.happened).toEqual(['hub up', 'hub down', 'hub up'])
  })

  test('the end that should be asked asks itself when nobody does', async () => {
    const { greeter, networkOf, advance } = setUp()
    const silent = networkOf(first)
    silent.handle(HELLO_PROTOCOL, async () =>
      encodeHello({
        version: 1,
        realm: TOPOLOGY.realm,
        generation: 1,
        hash: TOPOLOGY.hash,
        now: 0,
        epoch: 'epoch',
        token: 'a token of sixteen',
      }),
    )
    const b = greeter(second)
    await start(silent, b.network)
    await advance(500)
    expect(b.happened).toEqual([])
    await advance(1_000)
    expect(b.happened).toEqual([`${first} up`])
  })

  test('a neighbour that answers nonsense is asked again, more and more slowly', async () => {
    const { greeter, networkOf, advance } = setUp()
    const broken = networkOf(second)
    let asked = 0
    broken.handle(HELLO_PROTOCOL, async () => {
      asked += 1
      return Buffer.from('nonsense')
    })
    const a = greeter(first)
    await start(a.network, broken)
    await advance(60_000)
    expect(a.happened).toEqual([])
    expect(a.neighbours.list()[0]?.lastError).toMatch(/^hello not answered: /)
    expect(asked).toBeGreaterThan(6)
    expect(asked).toBeLessThan(20)
  })

  test('an answer that never comes is given up, and asked for again', async () => {
    const { greeter, networkOf, advance } = setUp()
    const stuck = networkOf(second)
    let asked = 0
    stuck.handle(HELLO_PROTOCOL, () => {
      asked += 1
      return new Promise(() => {})
    })
    const a = greeter(first)
    await start(a.network, stuck)
    await advance(11_000)
    expect(a.neighbours.list()[0]?.lastError).toContain('no answer within 10000 ms')
    await advance(11_000)
    expect(asked).toBeGreaterThan(1)
  })

  test('two realms do not meet: both ends say why, once, and leave each other alone', async () => {
    const { greeter, advance, sim } = setUp()
    const a = greeter(first)
    const b = greeter(second, starTopology(['edge'], { realm: 'other' }))
    await start(a.network, b.network)
    await advance(5_000)
    for (const one of [a, b]) {
      expect(one.happened).toEqual([])
      expect(one.errors).toHaveLength(1)
      expect(one.neighbours.list()[0]?.lastError).toContain('give both the same topology file')
    }
    expect(sim.areConnected(peerIdOfName(hub), peerIdOfName(edge))).toBe(false)
    await advance(150_000)
    expect(a.errors).toHaveLength(1)
    expect(b.errors).toHaveLength(1)
  })

  test('another version of the hello is cut off, and named', async () => {
    const { greeter, networkOf, advance } = setUp()
    const newer = networkOf(second)
    newer.handle(HELLO_PROTOCOL, async () => encodeCbor({ version: 2 }))
    const a = greeter(first)
    await start(a.network, newer)
    await advance(5_000)
    expect(a.neighbours.list()[0]?.lastError).toContain('version 2')
    expect(a.errors).toHaveLength(1)
    expect(a.network.connected()).toEqual([])
  })

  test('a hello again tells both ends what changed, without another connection or token', async () => {
    const { greeter, advance } = setUp()
    const [a, b] = [greeter(hub), greeter(edge)]
    await start(a.network, b.network)
    await advance(2_000)
    const factsOf = (one: typeof a) => one.neighbours.list()[0]?.facts
    expect(factsOf(a)).toMatchObject({ fingerprints: ['b'.repeat(64)] })
    const before = factsOf(a)?.token
    a.served.fingerprints = ['c'.repeat(64)]
    b.served.fingerprints = ['d'.repeat(64)]
    const asking = Promise.all([a.again(edge), a.again(edge)])
    await advance(1_000)
    await asking
    expect(factsOf(a)).toMatchObject({ fingerprints: ['d'.repeat(64)], token: before })
    expect(factsOf(b)).toMatchObject({ fingerprints: ['c'.repeat(64)] })
    expect([a.issued(), b.issued()]).toEqual([1, 1])
    expect(a.happened).toEqual(['edge up'])
  })

  test('a hello again to a neighbour that is gone fails, and a later connection gets another token', async () => {
    const { greeter, advance, sim } = setUp()
    const [a, b] = [greeter(hub), greeter(edge)]
    await start(a.network, b.network)
    await advance(2_000)
    sim.setLink(peerIdOfName(hub), peerIdOfName(edge), false)
    await advance(100)
    await expect(a.again(edge)).rejects.toThrow('edge is not connected')
    sim.setLink(peerIdOfName(hub), peerIdOfName(edge), true)
    await advance(2_000)
    expect([a.issued(), b.issued()]).toEqual([2, 2])
    await Promise.all([a.again(edge), advance(1_000)])
  })
})

import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { Arrival } from '../../../src/events/mesh-event.ts'
import { createAnnouncer } from '../../../src/gossip/announcer.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Tag } from '../../../src/oci/name.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { topicsOf } from '../../../src/topology/groups.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { createWriter, digestNamed, type PutOf, ref, repo } from '../../helpers/writers.ts'
import { nodeName } from './gossip-node.ts'

/** hub -> region -> edges; the region passes releases only. */
const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: tests, generation: 1 }
nodes: { hub: {}, region: {}, edge: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  all: { match: { repos: ["app/**"] }, mode: eager }
  releases: { match: { repos: ["app/**"], tags: { include: ["v*"] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: [region], policies: [all] }
  - { shape: star, center: region, leaves: [edge], policies: [releases] }
`)
if (topology === undefined) throw new Error('the topology is right')

const KEY = { repository: repo('app/web'), reference: ref('v1') }
const image = digestNamed('image')

function setUp(self: string, failing: readonly string[] = []) {
  if (topology === undefined) throw new Error('the topology is right')
  const events = createEventBus({ logger: silentLogger })
  const clock = createFakeClock()
  const published: { readonly topic: string; readonly data: Uint8Array }[] = []
  const topics = topicsOf(topology, nodeName(self))
  const named = new Map<Digest, Tag[]>()
  const announcer = createAnnouncer({
    network: {
      publish: async (topic, data) => {
        if (failing.includes(topic)) throw new Error('no peers')
        published.push({ topic, data })
      },
    },
    topics,
    naming: {
      tagsNaming: async function* (_repository, digest) {
        yield* named.get(digest) ?? []
      },
    },
    events,
    clock,
    logger: silentLogger,
  })
  const store = async (put: Partial<PutOf>, arrival: Arrival) => {
    const signed = createWriter('hub').put([], { ...KEY, digest: image, ...put })
    events.emit({ kind: 'record-stored', signed, arrival })
    await settle()
    return signed
  }
  const [up, down] = ['0/hub', '1/region'].map(
    (id) => topics.find(({ group }) => group.id === id)?.topic ?? 'none',
  )
  return { announcer, published, store, named, up, down, topics, events, clock }
}

const byGossip = (topic = ''): Arrival => ({ via: 'gossip', from: nodeName('hub'), topic })

describe('gossip / announcer', () => {
  test('the topology gives the region one topic to listen to and one to speak on', () => {
    const { topics } = setUp('region')
    expect(topics.map(({ group, sends, receives }) => [group.id, sends, receives])).toEqual([
      ['0/hub', false, true],
      ['1/region', true, false],
    ])
  })

  test('a push goes out on every topic that this node sends on, as the very bytes that were signed', async () => {
    const { published, store, announcer, up } = setUp('hub')
    const signed = await store({}, { via: 'push' })
    expect(published).toEqual([{ topic: up, data: signed.bytes }])
    expect(announcer.published()).toBe(1)
  })

  test('news from above go on below, and never back to where they came from', async () => {
    const { published, store, up, down } = setUp('region')
    await store({}, byGossip(up))
    expect(published.map(({ topic }) => topic)).toEqual([down])
    await store({}, byGossip(down))
    expect(published).toHaveLength(1)
  })

  test('what a feed brought goes on: those below may not have heard of it', async () => {
    const { published, store } = setUp('region')
    await store({}, { via: 'feed', from: nodeName('hub') })
    expect(published).toHaveLength(1)
  })

  test('a node that only receives says nothing', async () => {
    const { published, store } = setUp('edge')
    await store({}, byGossip())
    expect(published).toEqual([])
  })

  test('what the link does not let through is not published', async () => {
    const { published, store } = setUp('region')
    await store({ reference: ref('main') }, byGossip())
    await store({ repository: repo('other') }, byGossip())
    await store({ reference: image }, byGossip())
    expect(published).toEqual([])
  })

  test('a signature is published when its image is named by a tag that passes', async () => {
    const { published, store, named } = setUp('region')
    const digest = digestNamed('signature')
    const signature = { reference: digest, digest, subject: image }
    await store(signature, byGossip())
    named.set(image, [ref('main') as Tag])
    await store(signature, byGossip())
    expect(published).toEqual([])
    named.set(image, [ref('main') as Tag, ref('v1') as Tag])
    await store(signature, byGossip())
    expect(published).toHaveLength(1)
  })

  test('a record from the future goes on below: those there may have another time', async () => {
    const { published, events, up = '', down } = setUp('region')
    const signed = createWriter('hub').put([], { ...KEY, digest: image })
    const arrival = { via: 'gossip', from: nodeName('hub'), topic: up } as const
    events.emit({ kind: 'record-parked', signed, arrival })
    await settle()
    expect(published).toEqual([{ topic: down, data: signed.bytes }])
  })

  test('a thousand tags at once all go out without a wait, and news of one tag replace each other while they wait', async () => {
    const { published, events, clock, announcer } = setUp('hub')
    const writer = createWriter('hub')
    const push = (reference: string, before: readonly SignedRecord[] = []) => {
      const signed = writer.put(before, { ...KEY, reference: ref(reference), digest: image })
      events.emit({ kind: 'record-stored', signed, arrival: { via: 'push' } })
      return signed
    }
    for (let at = 0; at < 1_000; at += 1) push(`v${at}`)
    await settle()
    expect(published).toHaveLength(1_000)
    let last = push('moving')
    for (let at = 0; at < 100; at += 1) last = push('moving', [last])
    const beside = createWriter('another').put([], {
      ...KEY,
      reference: ref('moving'),
      digest: image,
    })
    events.emit({ kind: 'record-stored', signed: beside, arrival: { via: 'push' } })
    await clock.advance(10)
    expect(new Set(published.slice(1_000).map(({ data }) => data))).toEqual(
      new Set([last.bytes, beside.bytes]),
    )
    expect(announcer.dropped()).toBe(0)
  })

  test('a topic that cannot be published on does not keep the news from the next event', async () => {
    const { down = '' } = setUp('region')
    const { announcer, store } = setUp('region', [down])
    await store({}, byGossip())
    expect(announcer.published()).toBe(0)
  })
})

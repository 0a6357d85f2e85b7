import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { sumOf } from '../../src/simulator/scale-meter.ts'
import type { ScaleOptions } from '../../src/simulator/scale-report.ts'
import { simulateScale } from '../../src/simulator/scale-run.ts'
import type { Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'

function shipped(name: string): Topology {
  const path = new URL(`../../topologies/${name}.yaml`, import.meta.url)
  const { topology } = readTopology(readFileSync(path, 'utf8'))
  if (topology === undefined) throw new Error(`${name} is not valid`)
  return topology
}

const MIB = 1024 * 1024
/** 8 Mbit/s: large enough times to tell them from round trips. */
const RATE = 1_000_000
const OPTIONS: ScaleOptions = {
  nodes: 20,
  imageBytes: MIB,
  pushes: 1,
  seed: 1,
  quietMinutes: 5,
  degree: 7,
  linkRate: RATE,
  nodeRate: RATE,
  roundTripMs: 20,
}
const simulate = (name: string, change: Partial<ScaleOptions> = {}) =>
  simulateScale(shipped(name), { ...OPTIONS, ...change })

describe('simulator / a topology of many nodes', () => {
  test('the same seed gives the same report, another one only other dice', async () => {
    const [one, same] = [await simulate('hierarchical'), await simulate('hierarchical')]
    expect(same).toEqual(one)
    const other = await simulate('hierarchical', { seed: 2 })
    expect(other.pushes[0]?.imageBytes).toBe(one.pushes[0]?.imageBytes)
  })

  test.each(['hierarchical', 'mesh', 'master-slave'])(
    '%s: bytes of content are those of the image for each receiver, each push anew',
    async (name) => {
      const { pushes } = await simulate(name, { pushes: 2, quietMinutes: 0 })
      expect(pushes).toHaveLength(2)
      for (const push of pushes) {
        expect(push.receivers).toBe(19)
        expect(sumOf(push.links).content.bytes).toBe(push.imageBytes * push.receivers)
        const sent = push.sent.reduce((sum, { bytes }) => sum + bytes, 0)
        expect(sent).toBe(push.imageBytes * push.receivers)
        expect(push.levels.reduce((sum, { nodes }) => sum + nodes, 0)).toBe(20)
      }
    },
  )

  test('a level is not there before its bytes can be: what a node sends is shared by all below it', async () => {
    const { pushes } = await simulate('hierarchical')
    const [push] = pushes
    const seconds = (push?.levels ?? []).map(({ lastMs }) => lastMs / 1_000)
    const size = (push?.imageBytes ?? 0) / RATE
    // The hub sends to two regions, the larger region to nine edges.
    expect(seconds[0]).toBe(0)
    expect(seconds[1]).toBeGreaterThan(2 * size)
    expect(seconds[1]).toBeLessThan(2 * size + 1)
    expect(seconds[2]).toBeGreaterThan((2 + 9) * size)
    expect(seconds[2]).toBeLessThan((2 + 9) * size + 1)
  })

  test('news takes half a round trip, a manifest and its blobs one each', async () => {
    const fast = { linkRate: 1e12, nodeRate: 1e12, quietMinutes: 0 }
    const { pushes } = await simulate('master-slave', { ...fast, roundTripMs: 1_000 })
    const level = pushes[0]?.levels.find((one) => one.level === 1)
    // BLOBS_AT_ONCE is three: five blobs take two rounds.
    expect(level?.firstMs).toBeCloseTo(500 + 1_000 + 2 * 1_000, -1)
  })

  test('each link of a tree carries the news once, and what is quiet carries none', async () => {
    const { links, pushes, quiet } = await simulate('hierarchical')
    const [push] = pushes
    expect(links).toBe(19)
    expect(push?.links).toHaveLength(19)
    for (const { counts } of push?.links ?? []) expect(counts.announcements.messages).toBe(1)
    const { announcements, content, feed } = sumOf(quiet.links)
    expect([announcements.messages, content.messages]).toEqual([0, 0])
    // Every half minute one exchange each way that is read: 19 links, and the hub reads two back.
    expect(feed.messages).toBe(2 * 2 * 5 * (19 + 2))
  })

  test('in a mesh the quiet grows with the square of its members, and news by the degree alone', async () => {
    const run = async (nodes: number) => {
      const { quiet, pushes } = await simulate('mesh', {
        nodes,
        imageBytes: 1_000,
        quietMinutes: 2,
      })
      return { quiet: sumOf(quiet.links), push: sumOf(pushes[0]?.links ?? []) }
    }
    const [small, large] = [await run(10), await run(20)]
    expect(large.quiet.feed.messages / small.quiet.feed.messages).toBeCloseTo((20 * 19) / (10 * 9))
    const perNode = large.push.announcements.messages / 20
    expect(perNode).toBeGreaterThan(3)
    expect(perNode).toBeLessThan(9)
  })

  test('more links than fit into memory are refused with a way out', async () => {
    await expect(simulate('mesh', { nodes: 300 })).rejects.toThrow(
      '300 nodes make 44850 links here, and at most 20000 are simulated',
    )
  })

  test('an image that goes nowhere is refused', async () => {
    const image = { repository: 'secret/x', tag: 'v1' } as ScaleOptions['image'] & object
    await expect(simulate('master-slave', { image })).rejects.toThrow(
      'expected an image that reaches more than its writer, and secret/x:v1 does not',
    )
  })
})

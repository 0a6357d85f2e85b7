/** A grace that ends while a node is away: what was pushed anew meanwhile keeps its tag, and the node hears of it first. */
import { expect, test } from 'vitest'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { makeImage } from '../helpers/images.ts'
import { createWorld } from './create-world.ts'
import { fadingTopology } from './topologies.ts'
import { advance, nodeNamed, startNode, until } from './world.ts'

const KEY = { repository: 'demo/hello' as RepositoryName, reference: 'v1' as Tag }
const QUIET = {
  dropRate: 0,
  duplicateRate: 0,
  maxDelayMs: 50,
  slowMs: 0,
  fillsDisks: false,
  losesDisks: false,
  collects: false,
  isAttacked: false,
}
/** The grace at the relay is 20 seconds. */
const LONG_MS = 60_000

test.each(['pushed anew', 'left deleted'])(
  'what was deleted, and was %s while the grace ended at a node that was away',
  async (what) => {
    const story: string[] = []
    const world = await createWorld({ seed: 1, topology: fadingTopology(), faults: QUIET, story })
    const [hub, relay] = ['hub', 'relay'].map((name) => nodeNamed(world, name as NodeName))
    if (hub === undefined || relay === undefined) throw new Error('no such node')
    const image = makeImage('once', { layers: 1 })
    const push = async () => {
      for (const { digest, bytes } of image.blobs) {
        await hub.process?.blobs.put(digest, bytes)
        await hub.core?.content.linkBlob(KEY.repository, digest)
      }
      await hub.core?.content.pushManifest({ ...KEY, ...image })
    }
    const shows = () => relay.core?.ledger.entry(KEY)?.held?.digest
    for (const node of [hub, relay]) await startNode(world, node)
    await until(world, push(), LONG_MS)
    await advance(world, LONG_MS)
    expect(shows()).toBe(image.digest)
    await until(world, hub.core?.content.deleteTag(KEY.repository, KEY.reference) as never, LONG_MS)
    await advance(world, 5_000)
    expect(shows()).toBe(image.digest)

    relay.crash()
    await advance(world, LONG_MS)
    if (what === 'pushed anew') await until(world, push(), LONG_MS)
    const before = story.length
    await startNode(world, relay)
    await advance(world, 2 * LONG_MS)
    const said = story.slice(before).filter((line) => line.includes('relay shows'))
    const isGone = said.some((line) => line.endsWith('v1 = nothing'))
    expect([isGone, shows()]).toEqual(
      what === 'pushed anew' ? [false, image.digest] : [true, undefined],
    )
    for (const node of world.nodes.values()) node.crash()
  },
)

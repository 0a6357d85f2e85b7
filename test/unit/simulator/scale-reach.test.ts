import { describe, expect, test } from 'vitest'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import { furthestRoute, routeOf } from '../../../src/simulator/scale-reach.ts'
import type { Topology } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

function topologyOf(globs: string, tags: string): Topology {
  const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: reach, generation: 1 }
nodes: { hub: {}, mid: {}, edge: {}, alone: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  all: { match: { repos: ["**"] }, mode: eager }
  some: { match: { repos: [${globs}], tags: { include: [${tags}] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: mid, policies: [all] }
  - { shape: star, center: mid, leaves: edge, policies: [some] }
`)
  if (topology === undefined) throw new Error('the topology is not valid')
  return topology
}

describe('simulator / reach of an image', () => {
  test('levels are steps from the writer, as far as the policies let the image', async () => {
    const topology = topologyOf('"pos/**"', '"v*"')
    const route = (name: string, tag: string) =>
      routeOf(topology, name as RepositoryName, tag as Tag)
    expect([...((await route('pos/app', 'v1'))?.levels ?? [])]).toEqual([
      ['hub', 0],
      ['mid', 1],
      ['edge', 2],
    ])
    expect((await route('pos/app', 'latest'))?.levels.size).toBe(2)
    expect((await route('other/app', 'v1'))?.levels.size).toBe(2)
  })

  test.each([
    ['"pos/**"', '"v*"'],
    ['"shop/{a,b}/*"', '"[0-9]*.[0-9]*"'],
    ['"one"', '"stable"'],
  ])('of %s with tags %s an image is found that reaches whom one can', async (globs, tags) => {
    const route = await furthestRoute(topologyOf(globs, tags), 1)
    expect(route?.levels.size).toBe(3)
  })
})

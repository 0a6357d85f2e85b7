import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { codeOf } from '../../../src/lib/errors.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { scaleTopology } from '../../../src/simulator/scale-topology.ts'
import { neighboursOf } from '../../../src/topology/flow.ts'
import { writersOf } from '../../../src/topology/origins.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

function shipped(name: string): Topology {
  return parsed(readFileSync(new URL(`../../../topologies/${name}.yaml`, import.meta.url), 'utf8'))
}

function parsed(text: string): Topology {
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(findings.map(({ message }) => message).join('; '))
  return topology
}

const named = (names: string): NodeName[] => names.split(' ') as NodeName[]
const BOTH_WAYS = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: both, generation: 1 }
nodes: { hub: {}, a: {}, a-2: {} }
origins: [{ repos: ["**"], writers: "*", conflict: { tags: register, resolve: hlc-lww } }]
policies: { all: { match: { repos: ["**"] }, mode: eager } }
links: [{ shape: star, center: hub, leaves: [a, a-2], flow: both, policies: [all] }]
`

describe('simulator / topology of many nodes', () => {
  test('edges are repeated in turn, below the region of their original, and hubs and regions stay single', () => {
    const { topology, repeated, copies } = scaleTopology(shipped('hierarchical'), 12)
    expect(repeated).toEqual(named('eu-1 eu-2 us-1 us-2'))
    expect(copies).toEqual(named('eu-1-2 eu-2-2 us-1-2 us-2-2 eu-1-3'))
    expect(topology.nodes.size).toBe(12)
    expect(neighboursOf(topology, 'eu-1-3' as NodeName)).toEqual(['eu'])
    expect(neighboursOf(topology, 'us-2-2' as NodeName)).toEqual(['us'])
    expect(neighboursOf(topology, 'hub' as NodeName)).toEqual(named('eu us'))
  })

  test('members of a mesh are joined to all others, and their copies write nothing', () => {
    const file = shipped('mesh')
    const { topology } = scaleTopology(file, 9)
    for (const node of topology.nodes.keys()) expect(neighboursOf(topology, node)).toHaveLength(8)
    const shared = 'shared/base' as RepositoryName
    expect(writersOf(topology, shared)).toEqual(writersOf(file, shared))
  })

  test('a leaf that sends to its center has a copy that does, under a name that nobody has', () => {
    const { topology, copies } = scaleTopology(parsed(BOTH_WAYS), 5)
    expect(copies).toEqual(named('a-2x a-2-2'))
    const into = topology.groups.filter(({ receivers }) => receivers.includes('hub' as NodeName))
    expect(into.map(({ id, senders }) => [id, ...senders])).toEqual([
      ['0/hub/a', 'a'],
      ['0/hub/a-2x', 'a-2x'],
      ['0/hub/a-2', 'a-2'],
      ['0/hub/a-2-2', 'a-2-2'],
    ])
    expect(neighboursOf(topology, 'a-2x' as NodeName)).toEqual(['hub'])
  })

  test('a center to which its leaves send stays single', () => {
    const text = BOTH_WAYS.replace('flow: both', 'flow: in')
    expect(scaleTopology(parsed(text), 5).repeated).toEqual(named('a a-2'))
  })

  test('all nodes have keys of their own, and another number of nodes is another topology', () => {
    const { topology } = scaleTopology(shipped('mesh'), 40)
    const keys = new Set([...topology.nodes.values()].map(({ peerId }) => peerId))
    expect(keys.size).toBe(40)
    expect(topology.hash).not.toBe(scaleTopology(shipped('mesh'), 41).topology.hash)
  })

  test('fewer nodes than the file has are refused with that number', () => {
    const attempt = () => scaleTopology(shipped('hierarchical'), 6)
    expect(attempt).toThrow('--nodes must be at least 7, as many as the file has; got 6')
    try {
      attempt()
    } catch (err) {
      expect(codeOf(err)).toBe('CONFIG_INVALID')
    }
  })

  test('where every node has others below it there is nothing to repeat', () => {
    const text = BOTH_WAYS.replace('center: hub, leaves: [a, a-2]', 'center: "*", leaves: "*"')
    expect(() => scaleTopology(parsed(text), 4)).toThrow('the file has none')
  })
})

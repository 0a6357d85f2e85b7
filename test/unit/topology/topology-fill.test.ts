import { describe, expect, test } from 'vitest'
import type { NodeName } from '../../../src/topology/topology.ts'
import { fillTopology, type NodeAddresses } from '../../../src/topology/topology-fill.ts'
import { nodeName, shippedText, textOf, topologyOf } from '../../helpers/topology-texts.ts'

const CHARACTERS = '123456789ABCDEFG'
const addressesOf = (names: readonly string[]): ReadonlyMap<NodeName, NodeAddresses> =>
  new Map(
    names.map((name, at) => [
      nodeName(name),
      {
        endpoint: `http://127.0.0.1:${5000 + at}`,
        mesh: `/ip4/127.0.0.1/tcp/${4000 + at}`,
        peerId: `12D3KooW${CHARACTERS.charAt(at).repeat(44)}`,
      },
    ]),
  )

describe('topology / fill', () => {
  test.each(['master-slave', 'hierarchical', 'mesh'])(
    'every node of %s.yaml gets what it lacks, and the comments stay',
    (file) => {
      const text = shippedText(file)
      const before = topologyOf(text)
      const addresses = addressesOf([...before.nodes.keys()])
      const filled = fillTopology(text, addresses)
      const after = topologyOf(filled)
      for (const [name, facts] of addresses) expect(after.nodes.get(name)).toMatchObject(facts)
      const comments = text.split('\n').filter((line) => line.trimStart().startsWith('#'))
      for (const comment of comments) expect(filled).toContain(comment.trim())
      expect(after.groups.map(({ id }) => id)).toEqual(before.groups.map(({ id }) => id))
      expect([...after.nodes.keys()]).toEqual([...before.nodes.keys()])
    },
  )

  test('what a node has already stays', () => {
    const filled = topologyOf(fillTopology(textOf(), addressesOf(['a', 'b'])))
    expect(filled.nodes.get(nodeName('a'))?.endpoint).toBe('http://a:5000')
    expect(filled.nodes.get(nodeName('b'))?.endpoint).toBe('http://127.0.0.1:5001')
  })

  test('filling twice changes nothing', () => {
    const once = fillTopology(shippedText('mesh'), addressesOf(['fra', 'iad', 'nrt']))
    expect(fillTopology(once, addressesOf(['nrt', 'fra', 'iad']))).toBe(once)
  })

  test('nodes without anything, and nodes that are written as an alias, get addresses of their own', () => {
    const nodes = '\n  a: &same { labels: { tier: x } }\n  b: *same\n  c:'
    const links = '[{ shape: mesh, members: "*", policies: [all] }]'
    const text = fillTopology(textOf({ nodes, links }), addressesOf(['a', 'b', 'c']))
    const endpoints = [...topologyOf(text).nodes.values()].map(({ endpoint }) => endpoint)
    expect(endpoints).toEqual([5000, 5001, 5002].map((port) => `http://127.0.0.1:${port}`))
    expect(topologyOf(text).nodes.get(nodeName('b'))?.labels).toEqual({ tier: 'x' })
  })
})

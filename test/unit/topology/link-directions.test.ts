import { describe, expect, test } from 'vitest'
import { flow, neighboursOf, sourcesOf } from '../../../src/topology/flow.ts'
import { topicsOf } from '../../../src/topology/groups.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const star = (flowWord: string) =>
  topologyWith({
    nodes: '{ hub: {}, left: {}, right: {} }',
    origins: '[{ repos: ["**"], writers: [hub] }]',
    links: `[{ shape: star, center: hub, leaves: [left, right], flow: ${flowWord}, policies: [all] }]`,
  })

const HUB = nodeName('hub')
const LEFT = nodeName('left')
const RIGHT = nodeName('right')

describe('topology / link directions', () => {
  test.each(['out', 'in', 'both'])(
    'the leaves of a star with flow %s are no neighbours',
    (word) => {
      const topology = star(word)
      expect(neighboursOf(topology, LEFT)).toEqual([HUB])
      expect(flow(topology, LEFT, RIGHT).isEmpty).toBe(true)
      expect(neighboursOf(topology, HUB)).toEqual([LEFT, RIGHT])
    },
  )

  test('a star sends out of its center, into it, or both ways', () => {
    const ways = (word: string) => ({
      down: !flow(star(word), HUB, LEFT).isEmpty,
      up: !flow(star(word), LEFT, HUB).isEmpty,
    })
    // The hub is the writer: it reads its repositories back whatever the direction.
    expect(ways('out')).toEqual({ down: true, up: true })
    expect(ways('in')).toEqual({ down: false, up: true })
    expect(ways('both')).toEqual({ down: true, up: true })
    expect(sourcesOf(star('in'), LEFT)).toEqual([])
  })

  test('what a leaf sends up goes out on a topic that no other leaf is in', () => {
    for (const word of ['in', 'both']) {
      const topology = star(word)
      const mine = topicsOf(topology, LEFT).filter(({ sends }) => sends)
      const theirs = new Set(topicsOf(topology, RIGHT).map(({ topic }) => topic))
      expect(mine.map(({ group }) => group.id)).toEqual(['0/hub/left'])
      expect(mine.filter(({ topic }) => theirs.has(topic))).toEqual([])
    }
  })

  test('the leaves share the topic of what their center sends', () => {
    const topology = star('both')
    const received = (node: typeof LEFT) =>
      topicsOf(topology, node)
        .filter(({ receives }) => receives)
        .map(({ topic }) => topic)
    expect(received(LEFT)).toEqual(received(RIGHT))
    expect(received(HUB)).toHaveLength(2)
  })

  test('nobody has a label or locality that is not written, whatever it is called', () => {
    const selecting = (selector: string) =>
      topologyWith({
        nodes: '{ a: {}, b: {} }',
        links: `[{ shape: mesh, members: ${selector}, policies: [all] }]`,
      }).groups[0]?.senders
    expect(selecting('{ constructor: "!x" }')).toEqual(['a', 'b'])
    expect(() => selecting('{ toString: x }')).toThrow('selects no node')
  })

  test('the members of a group stand in order of name, whatever the order of the file', () => {
    const membersOf = (nodes: string) =>
      topologyWith({ nodes, links: '[{ shape: mesh, members: "*", policies: [all] }]' }).groups[0]
        ?.receivers
    expect(membersOf('{ c: {}, a: {}, b: {} }')).toEqual(['a', 'b', 'c'])
    expect(membersOf('{ b: {}, c: {}, a: {} }')).toEqual(['a', 'b', 'c'])
  })
})

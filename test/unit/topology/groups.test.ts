import { describe, expect, test } from 'vitest'
import { topicsOf } from '../../../src/topology/groups.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const NODES = '{ hub: {}, north: {}, south: {} }'
const POLICIES =
  '{ all: { match: { repos: ["**"] }, mode: eager }, some: { match: { repos: ["a/**"] }, mode: eager }, same: { match: { repos: ["**"] }, mode: lazy } }'
const NORTH = '{ shape: star, center: hub, leaves: north, policies: [all] }'
const SOUTH = '{ shape: star, center: hub, leaves: south, policies: [some] }'

/** Of the hub, by the links of a file. */
function topicsWith(...links: readonly string[]): readonly string[] {
  const topology = topologyWith({
    nodes: NODES,
    origins: '[{ repos: ["**"], writers: hub }]',
    policies: POLICIES,
    links: `[${links.join(', ')}]`,
  })
  return topicsOf(topology, nodeName('hub')).map(({ topic }) => topic)
}

describe('topology / groups', () => {
  test('a link keeps its topic wherever it stands in the file', () => {
    const [north, south] = topicsWith(NORTH, SOUTH)
    expect(north).not.toBe(south)
    expect(topicsWith(SOUTH, NORTH)).toEqual([south, north])
    expect(topicsWith(SOUTH)).toEqual([south])
  })

  test('who sends, who receives and what passes make the topic: a file that changes one of them has another', () => {
    const others = [
      '{ shape: star, center: hub, leaves: [north, south], policies: [all] }',
      '{ shape: star, center: hub, leaves: north, policies: [some] }',
      '{ shape: star, center: hub, leaves: north, flow: in, policies: [all] }',
      '{ shape: mesh, members: [hub, north], policies: [all] }',
    ]
    const topics = [NORTH, ...others].flatMap((link) => topicsWith(link))
    expect(new Set(topics).size).toBe(topics.length)
  })

  test('how content comes makes no difference to who hears of it, and two links that say the same are one topic', () => {
    const lazy = '{ shape: star, center: hub, leaves: north, policies: [same, all] }'
    expect(topicsWith(lazy)).toEqual(topicsWith(NORTH))
    expect(topicsWith(NORTH, SOUTH, lazy)).toEqual(topicsWith(NORTH, SOUTH))
  })
})

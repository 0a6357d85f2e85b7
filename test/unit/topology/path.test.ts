import { describe, expect, test } from 'vitest'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import { linksTo, pathTo } from '../../../src/topology/path.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const naming = { tagsNaming: async function* () {} }
const item = (repository: string, reference: string) => ({
  repository: repository as RepositoryName,
  reference: reference as Reference,
})

const TREE = topologyWith({
  nodes:
    '{ hub: { endpoint: "http://h:5000" }, eu: { endpoint: "http://e:5000" }, us: { endpoint: "http://u:5000" }, shop: {}, lab: {}, island: {} }',
  origins: '[{ repos: ["team/**"], writers: hub }]',
  policies: `
  all: { match: { repos: ["**"] }, mode: eager }
  releases: { match: { repos: ["team/**"], tags: { include: ["v*"] } }, mode: eager }
  tools: { match: { repos: ["team/tools"] }, mode: eager }`,
  links: `[
    { shape: star, center: hub, leaves: shop, policies: [tools] },
    { shape: star, center: hub, leaves: eu, policies: [all] },
    { shape: star, center: hub, leaves: us, policies: [releases] },
    { shape: star, center: eu, leaves: shop, policies: [releases, tools] },
    { shape: star, center: us, leaves: shop, policies: [all] },
    { shape: star, center: shop, leaves: lab, policies: [all] }]`,
})

describe('topology / path', () => {
  test('a path names each link with the policies that let the item through', async () => {
    const path = await pathTo(TREE, nodeName('lab'), item('team/app', 'v1'), naming)
    expect(path.kind).toBe('open')
    const hops = path.kind === 'open' ? path.hops : []
    expect(hops.map(({ from, to, passing }) => [from, to, passing])).toEqual([
      ['hub', 'eu', ['all']],
      ['eu', 'shop', ['releases']],
      ['shop', 'lab', ['all']],
    ])
  })

  test('where each way is barred, the way with the fewest bars is told, and what does not match', async () => {
    const path = await pathTo(TREE, nodeName('lab'), item('team/app', 'dev'), naming)
    expect(path.kind).toBe('filtered')
    const hops = path.kind === 'filtered' ? path.hops : []
    const barred = hops.filter(({ passing }) => passing.length === 0)
    expect(barred).toEqual([
      {
        from: 'hub',
        to: 'shop',
        passing: [],
        filtering: [{ policy: 'tools', by: 'repository' }],
      },
    ])
  })

  test('an open detour comes before a short way that is barred', async () => {
    const path = await pathTo(TREE, nodeName('shop'), item('team/app', 'v1'), naming)
    const hops = path.kind === 'open' ? path.hops : []
    expect(hops.map(({ from, passing }) => [from, passing])).toEqual([
      ['hub', ['all']],
      ['eu', ['releases']],
    ])
  })

  test('no links, no writer and a writer itself are told apart', async () => {
    const of = async (node: string, repository: string) =>
      (await pathTo(TREE, nodeName(node), item(repository, 'v1'), naming)).kind
    expect(await of('island', 'team/app')).toBe('no-path')
    expect(await of('hub', 'team/app')).toBe('writer')
    expect(await of('eu', 'other/app')).toBe('no-writer')
  })

  test('what a policy does not match is told: the repository, or the tag of one that it matches', async () => {
    const links = await linksTo(TREE, nodeName('shop'), item('team/app', 'dev'), naming)
    expect(links.find(({ from }) => from === 'eu')?.filtering).toEqual([
      { policy: 'releases', by: 'tag' },
      { policy: 'tools', by: 'repository' },
    ])
  })

  test('the links to a node are all told, open or not', async () => {
    const links = await linksTo(TREE, nodeName('shop'), item('team/app', 'dev'), naming)
    expect(links.map(({ from, passing }) => [from, passing.length])).toEqual([
      ['hub', 0],
      ['eu', 0],
      ['us', 1],
    ])
  })
})

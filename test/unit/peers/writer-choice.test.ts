import { describe, expect, test } from 'vitest'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createWriterChoice } from '../../../src/peers/writer-choice.ts'
import { createSimClock } from '../../../src/simulator/sim-clock.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

const REPO = 'demo/app' as RepositoryName
const name = (text: string) => text as NodeName

/** `edge` is linked to a, b and c; `far`, `near` and `nowhere` write too, without a link to it. */
const { topology, findings } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes:
  a: { endpoint: "http://a:5000", locality: { region: us } }
  b: { endpoint: "http://b:5000", locality: { region: eu, zone: eu-2 } }
  c: { endpoint: "http://c:5000", locality: { region: eu, zone: eu-1 } }
  far: { endpoint: "http://far:5000" }
  near: { endpoint: "http://near:5000", locality: { region: eu, zone: eu-1 } }
  nowhere: {}
  edge: { locality: { region: eu, zone: eu-1 } }
origins:
  - { repos: ["alone/**"], writers: nowhere, elsewhere: proxy }
  - { repos: ["**"], writers: [a, b, c, far, near, nowhere], elsewhere: proxy, conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: [a, b, c], leaves: edge, policies: [all] }
  - { shape: mesh, members: [a, b, c, far, near, nowhere], policies: [all] }
`)

function setUp() {
  if (topology === undefined) throw new Error(JSON.stringify(findings))
  const clock = createSimClock(1_000_000)
  const up = new Set([name('a'), name('b'), name('c')])
  const choice = createWriterChoice({
    topology,
    self: name('edge'),
    neighbours: {
      isUp: (node) => up.has(node),
      endpointOf: (node) =>
        up.has(node) ? { endpoint: `http://${node}.said:5000`, token: 'secret' } : undefined,
      list: () => ['a', 'b', 'c'].map((one) => ({ name: name(one), state: 'up', sinceMs: 0 })),
    },
    clock,
  })
  const advance = (ms: number) => {
    void clock.sleep(ms)
    clock.step(clock.now() + ms)
  }
  return { up, choice, advance, names: () => choice.living(REPO).map((writer) => writer.name) }
}

describe('writer choice', () => {
  test('neighbours come first, then the same zone, the same region, the name; without an endpoint nobody is asked', () => {
    const { names, choice } = setUp()
    expect(names()).toEqual(['c', 'b', 'a', 'near', 'far'])
    expect(choice.living('alone/x' as RepositoryName)).toEqual([])
  })

  test('a neighbour that is down does not live; what it said itself of its endpoint counts while it is up', () => {
    const { names, up, choice } = setUp()
    expect(choice.living(REPO)[0]).toEqual({ name: 'c', endpoint: 'http://c.said:5000' })
    up.delete(name('c'))
    expect(names()).toEqual(['b', 'a', 'near', 'far'])
  })

  test('a push stays with the writer where it began, for a day, also when a nearer one comes', () => {
    const { names, choice, advance } = setUp()
    choice.took(REPO, name('a'))
    expect(names()[0]).toBe('a')
    expect(choice.latest(REPO)?.name).toBe('a')
    advance(25 * 3_600_000)
    expect(names()[0]).toBe('c')
    expect(choice.latest(REPO)).toBeUndefined()
  })

  test('an upload is where it began also while that writer is down', () => {
    const { names, choice, up } = setUp()
    choice.took(REPO, name('a'))
    up.delete(name('a'))
    expect(names()[0]).toBe('c')
    expect(choice.latest(REPO)).toEqual({ name: 'a', endpoint: 'http://a:5000' })
  })

  test('one that could not be reached comes last for a while, or until it takes something', () => {
    const { names, choice, advance } = setUp()
    choice.took(REPO, name('c'))
    choice.failed(name('c'))
    expect(names()).toEqual(['b', 'a', 'near', 'far', 'c'])
    advance(11_000)
    expect(names()[0]).toBe('c')
    choice.failed(name('c'))
    choice.took(REPO, name('c'))
    expect(names()[0]).toBe('c')
  })

  test('repositories are remembered up to a bound, the one pushed to last for longest', () => {
    const { choice } = setUp()
    const other = (at: number) => `demo/app-${at}` as RepositoryName
    for (let at = 0; at < 10_000; at += 1) choice.took(other(at), name('a'))
    choice.took(other(0), name('a'))
    choice.took(REPO, name('a'))
    expect(choice.latest(other(1))).toBeUndefined()
    expect(choice.latest(other(0))?.name).toBe('a')
    expect(choice.latest(REPO)?.name).toBe('a')
  })
})

import { describe, expect, test } from 'vitest'
import type { AnonymousRight } from '../../../src/access/access.ts'
import { createPushElsewhere } from '../../../src/node/push-elsewhere.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { repo } from '../../helpers/writers.ts'

interface RigOptions {
  readonly way?: 'reject' | 'redirect' | 'proxy'
  readonly self?: string
  readonly anonymous?: AnonymousRight
  readonly bandwidth?: string
}

function setUp({ way = 'proxy', self = 'edge', anonymous = 'pull', bandwidth = '' }: RigOptions) {
  const { topology, findings } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes: { hub: { endpoint: "http://127.0.0.1:9" }, edge: {} }
origins:
  - { repos: ["**"], writers: hub, elsewhere: ${way} }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: edge, policies: [all], bandwidth: [${bandwidth}] }
`)
  if (topology === undefined) throw new Error(JSON.stringify(findings))
  const warned: string[] = []
  const nothing = () => {}
  const log = { debug: nothing, info: nothing, error: nothing, child: () => logger }
  const logger = { ...log, warn: (_: object, message: string) => void warned.push(message) }
  const elsewhere = createPushElsewhere(
    {
      topology,
      self: self as NodeName,
      neighbours: { list: () => [], isUp: () => true, endpointOf: () => undefined } as never,
      greetAgain: async () => {},
      trust: { context: () => undefined } as never,
      clock: createFakeClock(),
      logger,
    },
    { anonymous, maxRequests: 1, scheme: 'http' },
  )
  return { elsewhere, warned }
}

const HINT = 'clients need credentials here and take none along a redirect'

describe('node / push elsewhere', () => {
  test.each<readonly [RigOptions, readonly string[]]>([
    [{ way: 'redirect', anonymous: 'none' }, [HINT]],
    [{ way: 'redirect', anonymous: 'pull' }, []],
    [{ way: 'redirect', anonymous: 'none', self: 'hub' }, []],
    [{ way: 'proxy', anonymous: 'none' }, []],
    [{ way: 'reject', anonymous: 'none' }, []],
  ])('%o warns of credentials that get lost: %o', (options, warned) => {
    expect(setUp(options).warned).toEqual(warned)
  })

  test.each([
    ['{ up: 0kbit }', 'link from edge is closed at all times'],
    ['{ down: 0kbit }', 'ECONNREFUSED'],
  ])(
    'pushes take what goes up: with %s the writer is not reached by %s',
    async (bandwidth, reason) => {
      await using elsewhere = setUp({ bandwidth }).elsewhere
      const [hub] = elsewhere.writers.living(repo('team/app'))
      if (hub === undefined) throw new Error('hub has an endpoint')
      const request = { method: 'POST', path: '/v2/', headers: {}, address: '', body: undefined }
      const { signal } = new AbortController()
      expect(await elsewhere.forward(hub, request, { signal })).toEqual({
        kind: 'unreached',
        reason: expect.stringContaining(reason),
      })
    },
  )
})

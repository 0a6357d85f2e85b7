import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { runFileTests } from '../../../src/forecast/file-tests.ts'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import { flow, type Naming, neighboursOf, wants } from '../../../src/topology/flow.ts'
import { originOf, writersOf } from '../../../src/topology/origins.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { nodeName, SHIPPED, shippedText, topologyOf } from '../../helpers/topology-texts.ts'

const NOTHING: Naming = { tagsNaming: async function* () {} }
const item = (image: string) => {
  const [repository = '', reference = ''] = image.split(':')
  return { repository: repository as RepositoryName, reference: reference as Reference }
}

/** The pairs `from>to` between which the image may go. */
async function ways(file: string, image: string): Promise<readonly string[]> {
  const topology = topologyOf(shippedText(file))
  const names = [...topology.nodes.keys()]
  const pairs = names.flatMap((from) => names.map((to) => [from, to] as const))
  const passing = await Promise.all(
    pairs.map(([from, to]) => flow(topology, from, to).passes(item(image), NOTHING)),
  )
  return pairs.flatMap(([from, to], at) => (passing[at] === true ? [`${from}>${to}`] : []))
}

/** The nodes that must hold the image. */
async function holders(file: string, image: string): Promise<readonly string[]> {
  const topology = topologyOf(shippedText(file))
  const names = [...topology.nodes.keys()]
  const wanted = await Promise.all(
    names.map((name) => wants(topology, name).passes(item(image), NOTHING)),
  )
  return names.filter((_, at) => wanted[at])
}

describe('topology / shipped files', () => {
  test.each(SHIPPED)(
    '%s.yaml is accepted, only endpoints are missing, and it keeps its promises',
    (file) => {
      const { topology, findings } = readTopology(shippedText(file))
      expect(topology?.realm).toBe(file)
      const notes = findings.filter(({ severity }) => severity !== 'note')
      expect(notes.map(({ lint }) => lint)).toEqual(['missing-endpoint'])
      const tests = topology === undefined ? [] : runFileTests(topology, { lints: findings })
      expect(tests.length).toBeGreaterThan(3)
      expect(tests.filter(({ ok }) => !ok)).toEqual([])
    },
  )

  test('every file of topologies/ is one of these, and names its schema for editors', () => {
    const files = readdirSync(new URL('../../../topologies/', import.meta.url))
    expect(files.filter((name) => name.endsWith('.yaml')).sort()).toEqual(
      SHIPPED.map((name) => `${name}.yaml`).sort(),
    )
    for (const name of SHIPPED) {
      expect(shippedText(name)).toMatch(/^# yaml-language-server: \$schema=schema.json\n/)
    }
  })

  test('master-slave: a release goes from hq to every slave, and back to hq alone', async () => {
    expect(await ways('master-slave', 'acme/api:v1')).toEqual([
      'hq>lon',
      'hq>nyc',
      'hq>sgp',
      'lon>hq',
      'nyc>hq',
      'sgp>hq',
    ])
    expect(await holders('master-slave', 'acme/api:v1')).toEqual(['hq', 'lon', 'nyc', 'sgp'])
  })

  test('master-slave: a release candidate and a foreign repository stay at hq', async () => {
    expect(await holders('master-slave', 'acme/api:v1-rc1')).toEqual(['hq'])
    expect(await holders('master-slave', 'labs/secret:v1')).toEqual(['hq'])
  })

  test('hierarchical: a release goes down level by level, never past a region', async () => {
    const down = (await ways('hierarchical', 'demo/app:v1.2.0')).filter(
      (way) => !way.endsWith('>hub'),
    )
    expect(down).toEqual(['hub>eu', 'hub>us', 'eu>eu-1', 'eu>eu-2', 'us>us-1', 'us>us-2'])
    expect(await holders('hierarchical', 'demo/app:v1.2.0')).toHaveLength(7)
    const topology = topologyOf(shippedText('hierarchical'))
    expect(neighboursOf(topology, nodeName('eu-1'))).toEqual(['eu'])
    expect(neighboursOf(topology, nodeName('hub'))).toEqual(['eu', 'us'])
  })

  test.each(['v1', 'v1.2.0', '2024.11', '1.0.3'])(
    'hierarchical: edges take the release %s',
    async (tag) => {
      expect(await holders('hierarchical', `demo/app:${tag}`)).toContain('us-2')
    },
  )

  test.each(['v1.2.0-rc1', 'latest', 'main', '1', 'vnext'])(
    'hierarchical: %s ends at the regions',
    async (tag) => {
      expect(await holders('hierarchical', `demo/app:${tag}`)).toEqual(['hub', 'eu', 'us'])
    },
  )

  test('hierarchical: the hub writes everything', () => {
    const topology = topologyOf(shippedText('hierarchical'))
    for (const name of ['demo/app', 'x', 'a/b/c']) {
      expect(writersOf(topology, name as RepositoryName)).toEqual(['hub'])
    }
  })

  test('mesh: everything is everywhere, whoever wrote it', async () => {
    for (const image of ['team-us/app:main', 'shared/base:7', 'rel/api:1.0.0']) {
      expect(await ways('mesh', image)).toHaveLength(6)
      expect(await holders('mesh', image)).toEqual(['fra', 'iad', 'nrt'])
    }
  })

  test('mesh: each team has one writer, shared has three, releases never move', () => {
    const topology = topologyOf(shippedText('mesh'))
    const writers = (name: string) => writersOf(topology, name as RepositoryName)
    expect(writers('team-eu/x')).toEqual(['fra'])
    expect(writers('team-us/x')).toEqual(['iad'])
    expect(writers('team-ap/x')).toEqual(['nrt'])
    expect(writers('shared/base')).toEqual(['fra', 'iad', 'nrt'])
    expect(writers('elsewhere')).toEqual([])
    expect(originOf(topology, 'rel/x' as RepositoryName)?.immutableTags).toBe(true)
    expect(originOf(topology, 'shared/x' as RepositoryName)?.immutableTags).toBe(false)
  })
})

import { describe, expect, test } from 'vitest'
import { limitsInto } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

const MBIT = 1_000_000
const [hub, eu, us] = ['hub', 'eu', 'us'] as [NodeName, NodeName, NodeName]

/** A hub that writes, and two nodes in two time zones. */
function limits(node: NodeName, links: string) {
  const { topology, findings } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes: { hub: {}, eu: { timeZone: Europe/Berlin }, us: { timeZone: America/New_York } }
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
${links}
`)
  if (topology === undefined) throw new Error(findings.map(({ message }) => message).join('; '))
  return limitsInto(topology, node)
}

const utc = (text: string) => Date.parse(`${text}Z`)
const OFFICE = '{ when: "Mon-Fri 08:00-18:00", down: 1Mbit, up: 2Mbit }'

describe('topology / rates', () => {
  test('down holds from the center to the leaf, up the other way, and who has no limit is not named', () => {
    const star =
      '  - { shape: star, center: hub, leaves: eu, flow: both, policies: [all], bandwidth: [{ down: 8Mbit, up: 2Mbit }] }\n' +
      '  - { shape: star, center: hub, leaves: us, policies: [all] }'
    expect(limits(eu, star).get(hub)?.at(0)).toBe(8 * MBIT)
    expect(limits(hub, star).get(eu)?.at(0)).toBe(2 * MBIT)
    expect([...limits(us, star)]).toEqual([])
    expect([...limits(hub, star).keys()]).toEqual([eu])
  })

  test('bytes that a writer reads against the link keep to its other rate', () => {
    const star =
      '  - { shape: star, center: hub, leaves: eu, policies: [all], bandwidth: [{ down: 8Mbit, up: 2Mbit }] }'
    expect(limits(hub, star).get(eu)?.at(0)).toBe(2 * MBIT)
    // A link that leads their way is the one that counts.
    const both = `${star}\n  - { from: eu, to: hub, policies: [all], bandwidth: [{ down: 5Mbit, up: 9Mbit }] }`
    expect(limits(hub, both).get(eu)?.at(0)).toBe(5 * MBIT)
    expect(limits(eu, both).get(hub)?.at(0)).toBe(8 * MBIT)
  })

  test('where both ends are alike the lower rate holds each way', () => {
    const mesh =
      '  - { shape: mesh, members: [eu, us], policies: [all], bandwidth: [{ down: 8Mbit, up: 2Mbit }] }\n' +
      '  - { shape: star, center: hub, leaves: [eu, us], policies: [all] }'
    expect(limits(eu, mesh).get(us)?.at(0)).toBe(2 * MBIT)
    expect(limits(us, mesh).get(eu)?.at(0)).toBe(2 * MBIT)
    expect(limits(us, mesh).get(hub)).toBeUndefined()
  })

  test('of two links between two nodes the faster one holds, and one without a rate is the fastest', () => {
    const slow =
      '  - { shape: star, center: hub, leaves: eu, policies: [all], bandwidth: [{ down: 1Mbit }] }'
    const fast =
      '  - { from: hub, to: eu, policies: [all], bandwidth: [{ when: "08:00-18:00", down: 3Mbit }, { down: 500kbit }] }'
    const free = '  - { from: hub, to: eu, policies: [all] }'
    const both = limits(eu, `${slow}\n${fast}`).get(hub)
    expect(both?.at(utc('2026-01-05T12:00'))).toBe(3 * MBIT)
    expect(both?.at(utc('2026-01-05T22:00'))).toBe(1 * MBIT)
    expect([...limits(eu, `${slow}\n${free}`)]).toEqual([])
  })

  test('hours are those of the receiver, the first entry that holds counts, and none is no limit', () => {
    const star = `  - { shape: star, center: hub, leaves: [eu, us], flow: both, policies: [all], bandwidth: [${OFFICE}] }`
    const at = utc('2026-01-05T16:30')
    expect(limits(eu, star).get(hub)?.at(at)).toBe(1 * MBIT)
    expect(limits(eu, star).get(hub)?.at(utc('2026-01-05T17:00'))).toBeUndefined()
    expect(limits(us, star).get(hub)?.at(utc('2026-01-05T12:59'))).toBeUndefined()
    expect(limits(us, star).get(hub)?.at(at)).toBe(1 * MBIT)
    // The hub says nothing of its time zone: UTC.
    expect(limits(hub, star).get(eu)?.at(utc('2026-01-05T18:00'))).toBeUndefined()
    expect(limits(hub, star).get(eu)?.at(utc('2026-01-05T08:00'))).toBe(2 * MBIT)
  })

  test('it says when the rate may change: at each edge of a calendar, and never without one', () => {
    const star = `  - { shape: star, center: hub, leaves: [eu], policies: [all], bandwidth: [${OFFICE}, { down: 20Mbit }] }`
    const limit = limits(eu, star).get(hub)
    const changes: number[] = []
    let rate = limit?.at(utc('2026-01-04T12:00'))
    for (let ms = utc('2026-01-04T12:00'); ms < utc('2026-01-07T12:00'); ) {
      ms = limit?.changesAt(ms) ?? 0
      if (limit?.at(ms) !== rate) changes.push(ms)
      rate = limit?.at(ms)
    }
    const edges = ['05T07:00', '05T17:00', '06T07:00', '06T17:00', '07T07:00', '07T17:00']
    expect(changes).toEqual(edges.map((edge) => utc(`2026-01-${edge}`)))
    const always = '  - { from: hub, to: eu, policies: [all], bandwidth: [{ down: 1Mbit }] }'
    expect(limits(eu, always).get(hub)?.changesAt(0)).toBe(Number.POSITIVE_INFINITY)
  })

  test('a link at rate 0 says when it opens; one that never does says that', () => {
    const closed = (entries: string) =>
      limits(
        eu,
        `  - { shape: star, center: hub, leaves: eu, policies: [all], bandwidth: [${entries}] }`,
      ).get(hub)
    const weekend = closed('{ when: "Mon-Fri", down: 0kbit }, { down: 1Mbit }')
    const monday = utc('2026-01-05T12:00')
    expect(weekend?.at(monday)).toBe(0)
    expect(weekend?.opensAt(monday)).toBe(utc('2026-01-09T23:00'))
    expect(weekend?.opensAt(utc('2026-01-10T12:00'))).toBe(utc('2026-01-10T12:00'))
    expect(closed('{ down: 0kbit }')?.opensAt(monday)).toBe(Number.POSITIVE_INFINITY)
  })
})

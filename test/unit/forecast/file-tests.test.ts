import { describe, expect, test } from 'vitest'
import { runFileTests } from '../../../src/forecast/file-tests.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { SHIPPED, shippedText, textOf } from '../../helpers/topology-texts.ts'

/** `ok name: reason` of each test of a file. */
function verdicts(text: string): readonly string[] {
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(`refused: ${JSON.stringify(findings)}`)
  return runFileTests(topology, { lints: findings }).map(
    ({ ok, name, reason }) => `${ok ? 'ok' : 'FAIL'} ${name}: ${reason}`,
  )
}

const NODES = '{ hq: {}, lon: {}, nyc: {}, sgp: {} }'
const POLICIES = `
  releases: { match: { repos: ["acme/**"], tags: { include: ["v*"] } }, mode: eager, slo: { lag: 5m } }
  whenever: { match: { repos: ["acme/**"], tags: { include: ["w*"] } }, mode: eager }
  dev: { match: { repos: ["acme/**"], tags: { include: ["pr-*"] } }, mode: lazy }
  arm: { match: { repos: ["acme/**"], tags: { include: ["v*"] }, platforms: [linux/arm64] }, mode: eager, slo: { lag: 5m } }
`
const LINKS = `
  - { shape: star, center: hq, leaves: [lon, nyc], policies: [releases, whenever, dev] }
  - { from: nyc, to: sgp, policies: [arm] }
`

/** Verdicts of tests over a small file: hq sends to lon and nyc, nyc to sgp. */
function judge(...tests: readonly object[]): readonly string[] {
  const named = tests.map((one, at) => ({ name: `t${at + 1}`, ...one }))
  const text = textOf({
    nodes: NODES,
    origins:
      '[{ repos: ["acme/**"], writers: hq, elsewhere: proxy }, { repos: ["lab/**"], writers: hq }]',
    policies: POLICIES,
    links: LINKS,
  })
  return verdicts(`${text}tests: ${JSON.stringify(named)}\n`)
}

const V1 = { from: 'hq', image: 'acme/api:v1' }

describe('forecast / file tests', () => {
  test('a promise that is kept says by which path, link and policy, and when', () => {
    expect(judge({ ...V1, present: ['lon', 'sgp'], within: '10m' })).toEqual([
      'ok t1: lon: present by hq -> lon (links[0], policy releases), at the latest in 5m; ' +
        'sgp: present by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm), at the latest in 10m',
    ])
  })

  test('one that is not says what was expected, what came, and why', () => {
    expect(
      judge(
        { from: 'hq', image: 'acme/api:pr-1', present: ['nyc'] },
        { from: 'hq', image: 'acme/api:pr-1', present: ['sgp'] },
        { ...V1, absent: ['lon'] },
        { ...V1, present: ['sgp'], platform: 'linux/amd64' },
        { from: 'lon', image: 'lab/x:1', present: ['nyc'] },
        { from: 'hq', image: 'other/x:1', present: ['nyc'] },
      ),
    ).toEqual([
      'FAIL t1: nyc: expected present, is only available: by hq -> nyc (links[0], policy dev): policy dev is lazy',
      'FAIL t2: sgp: expected present, is absent: nyc -> sgp (links[1]: arm) does not let acme/api:pr-1 through',
      'FAIL t3: lon: expected absent, is present by hq -> lon (links[0], policy releases), at the latest in 5m',
      'FAIL t4: sgp: expected present, is absent: it hears of it by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm) and takes linux/arm64 only',
      'FAIL t5: nyc: expected present, is absent: lon may not write lab/x, only hq',
      'FAIL t6: nyc: expected present, is absent: no entry of origins matches other/x',
    ])
  })

  test('only what failed stands in the reason', () => {
    expect(judge({ ...V1, present: ['lon'], notPresent: ['nyc'] })).toEqual([
      'FAIL t1: nyc: expected not present, is present by hq -> nyc (links[0], policy releases), at the latest in 5m',
    ])
  })

  test('a time cannot be promised where a policy on the way sets no lag', () => {
    expect(
      judge(
        { ...V1, present: ['sgp'], within: '9m' },
        { from: 'hq', image: 'acme/api:w1', present: ['lon'], within: '1d' },
      ),
    ).toEqual([
      'FAIL t1: sgp: expected within 9m, at the latest in 10m, by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm)',
      'FAIL t2: lon: expected within 1d, no latest time: policy whenever sets no slo.lag for lon, by hq -> lon (links[0], policy whenever)',
    ])
  })

  test('what is present counts as available, and what waits for a word as absent', () => {
    expect(judge({ ...V1, available: ['lon'] })[0]).toMatch(/^ok/)
    expect(
      judge({ from: 'hq', image: 'acme/api:pr-1', available: ['lon'], notPresent: ['lon'] }),
    ).toEqual(['ok t1: lon: available: by hq -> lon (links[0], policy dev): policy dev is lazy'])
  })

  test('hops count the links to the node that is furthest, and reaching nobody keeps no promise', () => {
    expect(
      judge(
        { ...V1, maxHops: 2 },
        { ...V1, maxHops: 1 },
        { from: 'hq', image: 'lab/x:1', maxHops: 1 },
      ),
    ).toEqual([
      'ok t1: at most 2 links to sgp, by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm)',
      'FAIL t2: expected at most 1 links, is 2 links to sgp, by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm)',
      'FAIL t3: expected at most 1 links, and it reaches no node at all',
    ])
  })

  test('pushes end as origins say', () => {
    const push = (node: string, repo: string, expect: string) => ({ push: { node, repo }, expect })
    expect(
      judge(
        push('hq', 'acme/api', 'accepted'),
        push('lon', 'acme/api', 'proxied'),
        push('lon', 'lab/x', 'rejected'),
        push('hq', 'other/x', 'rejected'),
        push('lon', 'lab/x', 'redirected'),
      ),
    ).toEqual([
      'ok t1: hq: a push to acme/api is accepted: hq may write it',
      'ok t2: lon: a push to acme/api is proxied: to hq',
      'ok t3: lon: a push to lab/x is rejected: only hq may write it, and origins say elsewhere: reject',
      'ok t4: hq: a push to other/x is rejected: no entry of origins matches it',
      'FAIL t5: lon: a push to lab/x: expected redirected, is rejected: only hq may write it, and origins say elsewhere: reject',
    ])
  })

  test('paths lead over what they must, or are a link', () => {
    const path = (from: string, to: string, ...via: string[]) => ({ path: { from, to }, via })
    expect(
      judge(
        path('hq', 'sgp', 'nyc'),
        path('hq', 'lon'),
        path('hq', 'sgp'),
        path('hq', 'sgp', 'lon'),
        path('sgp', 'hq', 'nyc'),
        path('hq', 'sgp', 'hq', 'sgp'),
      ),
    ).toEqual([
      'ok t1: every way from hq to sgp leads over nyc',
      'ok t2: hq -> lon',
      'FAIL t3: expected a link from hq to sgp; the shortest way is hq -> nyc -> sgp',
      'FAIL t4: expected every way over lon; there is hq -> nyc -> sgp',
      'FAIL t5: expected a path, and no chain of links leads from sgp to hq',
      'ok t6: every way from hq to sgp leads over hq; every way from hq to sgp leads over sgp',
    ])
  })

  test('a pull while others are down is served from disk, from who is left, or not at all', () => {
    const pull = (node: string, image: string, down: string[], expect: string) => ({
      pull: { node, image },
      ...(down.length === 0 ? {} : { down }),
      expect,
    })
    expect(
      judge(
        pull('sgp', 'acme/api:v1', ['hq', 'nyc'], 'local'),
        pull('lon', 'acme/api:pr-1', [], 'fetched'),
        pull('lon', 'acme/api:pr-1', ['hq'], 'absent'),
        pull('lon', 'acme/api:pr-1', ['hq'], 'fetched'),
        pull('lon', 'acme/api:v1', ['lon'], 'absent'),
      ),
    ).toEqual([
      'ok t1: sgp: held since hq pushed it, by hq -> nyc (links[0], policy releases) -> sgp (links[1], policy arm), at the latest in 10m',
      'ok t2: lon: fetched by hq -> lon (links[0], policy dev)',
      'ok t3: lon: nobody is left who has it, of hq',
      'FAIL t4: lon: expected fetched, is absent: nobody is left who has it, of hq',
      'ok t5: lon: it is down',
    ])
  })

  test('a test of nothing, and a push at a node that is down, are no promises', () => {
    expect(judge({ ...V1, absent: [] }, { ...V1, down: ['hq'], absent: ['lon'] })).toEqual([
      'FAIL t1: it says nothing of any node: expected present, available, notPresent, absent or maxHops',
      'FAIL t2: hq is down, so nothing is pushed there: name another node, or test a pull',
    ])
  })

  test('a lint is clean or says its line', () => {
    const lint = (name: string) => ({ lint: name, expect: 'clean' })
    const [clean, unclean] = judge(lint('concurrent-writers'), lint('missing-endpoint'))
    expect(clean).toBe('ok t1: concurrent-writers: clean')
    expect(unclean).toMatch(/^FAIL t2: expected missing-endpoint to be clean, line \d+: .*hq/)
  })

  test.each(SHIPPED)('%s keeps what it promises', (name) => {
    const all = verdicts(shippedText(name))
    expect(all.length).toBeGreaterThan(2)
    expect(all.filter((line) => line.startsWith('FAIL'))).toEqual([])
  })

  test('shops that hang under every region break the promise that they never talk to headquarters directly', () => {
    const changed = shippedText('three-level').replace(/^ *match: region\n/m, '')
    expect(verdicts(changed).filter((line) => line.startsWith('FAIL'))).toEqual([
      'FAIL a shop never talks to headquarters: expected every way over us-1; there is hq -> eu-1 -> shop-101',
    ])
  })

  test('a ring of one way breaks two promises', () => {
    const changed = shippedText('ring').replace('direction: both', 'direction: forward')
    const failed = verdicts(changed).filter((line) => line.startsWith('FAIL'))
    expect(failed.map((line) => line.split(':')[0])).toEqual([
      'FAIL one that is down does not cut the ring',
      'FAIL two links at most',
    ])
  })
})

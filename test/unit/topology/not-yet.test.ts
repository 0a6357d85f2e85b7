import { describe, expect, test } from 'vitest'
import { LATER_WORDS } from '../../../src/topology/not-yet.ts'
import { errorLines, shippedText, textOf } from '../../helpers/topology-texts.ts'

/** A shipped file with lines added in front of a line, and texts replaced. */
function changed(file: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((text, [old, later]) => {
    if (!text.includes(old)) throw new Error(`${file} has no ${old}`)
    return text.replace(old, later)
  }, shippedText(file))
}

const refused = (text: string) =>
  errorLines(text).map((line) => line.replace(/^error \d+:\d+ /, ''))
const notYet = (path: string, word = path) => `${path}: "${word}" is not yet in this version`

describe('topology / words of later versions', () => {
  test('a publisher with gates, rings and nodes that enroll: refused by name', () => {
    const text = changed('three-level', {
      'origins:\n': `enroll:
  - { class: edge, claims: { ou: shops }, labels: { level: shop }, max: 5000 }
gates:
  signed: { type: signature, keyRef: "file:cosign.pub" }
levels:
  - { select: { level: region }, admit: [signed] }
origins:
`,
      'tests:\n': `tests:
  - { name: unsigned images stop, from: hq, image: "pos/till:3.2.0", facts: { signed: false }, absent: [eu-1] }
`,
    })
    expect(refused(text)).toEqual([
      notYet('enroll'),
      notYet('gates'),
      notYet('levels'),
      notYet('tests[0].facts', 'facts'),
    ])
  })

  test('a cache of foreign registries, that asks whoever it may: refused by name', () => {
    const text = changed('edge-pull-through', {
      'origins:\n': `upstreams:
  docker.io: { url: "https://registry-1.docker.io", at: [hub], revalidate: 1h, offline: serve-stale }
origins:
`,
      'fetch: peers-first': 'fetch: any-permitted',
      'tests:\n': `tests:
  - { name: no way out, egress: { node: edge-1, to: "registry-1.docker.io" }, expect: denied }
`,
    })
    expect(refused(text)).toEqual([
      notYet('upstreams'),
      notYet('links[1].fetch', 'any-permitted'),
      notYet('tests[0].egress', 'egress'),
    ])
  })

  test('a courier with a disk, and receipts: refused by name', () => {
    const text = changed('air-gap', {
      '  gate: { locality': '  courier: { kind: media, labels: { side: gap } }\n  gate: { locality',
      'platforms: [linux/amd64] }': 'platforms: [linux/amd64], referrers: [signature, sbom] }',
      'to: gate, policies: [by-hand] }':
        'to: gate, policies: [by-hand], transport: archive, archive: { volume: 64GiB }, oneWay: true, owner: partner }',
      'tests:\n': `receipts: { from: high-1, to: low, transport: archive, optional: true }
tests:
  - { name: no ip path exists, path: { from: low, to: high-1 }, transport: archive }
`,
    })
    expect(refused(text)).toEqual([
      notYet('nodes.courier.kind', 'media'),
      notYet('policies.mission.match.referrers', 'referrers'),
      notYet('links[0].transport', 'transport'),
      notYet('links[0].archive', 'archive'),
      notYet('links[0].oneWay', 'oneWay'),
      notYet('links[0].owner', 'owner'),
      notYet('receipts'),
      notYet('tests[0].transport', 'transport'),
    ])
  })

  test('an older push that wins, and somebody who is told of losers: refused by name', () => {
    const origins = (conflict: string) =>
      refused(textOf({ origins: `[{ repos: ["**"], writers: a, conflict: { ${conflict} } }]` }))
    expect(origins('tags: register, resolve: first-writer')).toEqual([
      notYet('origins[0].conflict.resolve', 'first-writer'),
    ])
    expect(origins('tags: register, resolve: hlc-lww, onLoser: mail')).toEqual([
      notYet('origins[0].conflict.onLoser', 'onLoser'),
    ])
  })

  test('a word of a later version is an unknown key at another place', () => {
    expect(refused(textOf({ metadata: '{ name: test, generation: 1, archive: x }' }))).toEqual([
      'metadata.archive: unknown key "archive"; expected one of name, generation, owner',
    ])
    expect(
      refused(
        textOf({ policies: '{ all: { match: { repos: ["**"], labels: {} }, mode: eager } }' }),
      ),
    ).toEqual([notYet('policies.all.match.labels', 'labels')])
    expect(refused(textOf({ nodes: '{ a: { labels: { gates: x } }, b: {} }' }))).toEqual([])
  })

  test('each of them is refused at its place', () => {
    const sectionsOf = (place: string, entry: string): Parameters<typeof textOf>[0] => {
      if (place === '') return { metadata: `{ name: test, generation: 1 }\n${entry}` }
      if (place === 'nodes') return { nodes: `{ a: { ${entry} }, b: {} }` }
      if (place === 'conflict') {
        return {
          origins: `[{ repos: ["**"], writers: a, conflict: { tags: register, resolve: hlc-lww, ${entry} } }]`,
        }
      }
      if (place === 'match') {
        return { policies: `{ all: { match: { repos: ["**"], ${entry} }, mode: eager } }` }
      }
      if (place === 'links') {
        return { links: `[{ shape: star, center: a, leaves: b, policies: [all], ${entry} }]` }
      }
      return {
        links: `[{ shape: star, center: a, leaves: b, policies: [all] }]\ntests: [{ name: x, from: a, image: "x:1", present: [b], ${entry} }]`,
      }
    }
    for (const { place, keys } of LATER_WORDS) {
      for (const key of keys) {
        expect(refused(textOf(sectionsOf(place, `${key}: x`)))).toEqual([
          expect.stringContaining(`"${key}" is not yet in this version`),
        ])
      }
    }
  })
})

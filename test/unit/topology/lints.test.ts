import { describe, expect, test } from 'vitest'
import { LINT_NAMES } from '../../../src/topology/lint-names.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { findingLines, type Sections, textOf } from '../../helpers/topology-texts.ts'

const policies = (...keys: readonly string[]) =>
  `{ ${keys.map((one, at) => `${at === 0 ? 'all' : `p${at}`}: { match: { repos: ["**"] }, ${one} }`).join(', ')} }`
const NIGHT = 'schedule: { cron: "0 1 * * *", window: 4h, tz: UTC }'

interface Case {
  readonly name: string
  readonly sections: Sections
  /** The line without severity and place. */
  readonly says: string
}

const CASES: readonly Case[] = [
  {
    name: 'a node without a link',
    sections: { nodes: '{ a: { endpoint: "http://a:1" }, b: {}, c: {} }' },
    says: 'nodes.c: no link reaches node c [unreachable-node]',
  },
  {
    name: 'a node that only sends and may write nothing',
    sections: {
      nodes: '{ a: { endpoint: "http://a:1" }, b: {}, c: { endpoint: "http://c:1" } }',
      links: '[{ from: a, to: b, policies: [all] }, { from: c, to: b, policies: [all] }]',
    },
    says: 'nodes.c: no chain of links leads from a writer to node c: nothing ever comes there [unreachable-node]',
  },
  {
    name: 'a sender without endpoint',
    sections: { nodes: '{ a: {}, b: {} }' },
    says: 'nodes.a: node a sends to others but has no endpoint; `entrepot up` fills it in, `entrepot serve` needs it [missing-endpoint]',
  },
  {
    name: 'a push that would be handed to writers without endpoint',
    sections: {
      nodes: '{ a: {}, b: { endpoint: "http://b:1" } }',
      origins: '[{ repos: ["x"], writers: b }, { repos: ["**"], writers: a, elsewhere: proxy }]',
      links: '[{ from: b, to: a, policies: [all] }]',
    },
    says: 'origins[1].elsewhere: no writer has an endpoint (a), so there is nowhere to hand a push to; add one [missing-endpoint]',
  },
  {
    name: 'a label that nobody has',
    sections: {
      links: '[{ shape: star, center: a, leaves: { archh: "!arm" }, policies: [all] }]',
    },
    says: 'links[0].leaves.archh: no node has a label or locality "archh" [unknown-label]',
  },
  {
    name: 'a value that nobody has, where all but it are meant',
    sections: {
      nodes: '{ a: { endpoint: "http://a:1", labels: { arch: arm64 } }, b: {} }',
      links: '[{ shape: star, center: a, leaves: { arch: "!amr64" }, policies: [all] }]',
    },
    says: 'links[0].leaves.arch: no node has the value "amr64" of "arch"; did you mean "arm64"? [unknown-label]',
  },
  {
    name: 'a policy for what nobody may write',
    sections: {
      origins: '[{ repos: ["x/**"], writers: a }]',
      policies: '{ all: { match: { repos: ["y/**"] }, mode: eager } }',
    },
    says: 'policies.all.match.repos[0]: nobody may write a repository like "y/**": no entry of origins matches one [matches-nothing]',
  },
  {
    name: 'a policy for no tag',
    sections: {
      policies: '{ all: { match: { repos: ["**"], tags: { include: [] } }, mode: eager } }',
    },
    says: 'policies.all.match.tags.include: an empty list lets no tag through [matches-nothing]',
  },
  {
    name: 'a policy that leaves every tag out',
    sections: {
      policies: '{ all: { match: { repos: ["**"], tags: { exclude: ["*"] } }, mode: eager } }',
    },
    says: 'policies.all.match.tags.exclude: "*" leaves every tag out [matches-nothing]',
  },
  {
    name: 'a range of versions with nothing in it',
    sections: {
      policies: '{ all: { match: { repos: ["**"], tags: { semver: ">2 <1" } }, mode: eager } }',
    },
    says: 'policies.all.match.tags.semver: no version is within ">2 <1" [matches-nothing]',
  },
  {
    name: 'an entry that never holds',
    sections: { origins: '[{ repos: ["**"], writers: a }, { repos: ["x/**"], writers: b }]' },
    says: 'origins[1].repos: never holds: earlier entries match all of it, and the first match holds [shadowed-origin]',
  },
  {
    name: 'a policy without a link',
    sections: { policies: policies('mode: eager', 'mode: eager') },
    says: 'policies.p1: no link uses policy "p1" [unused-policy]',
  },
  {
    name: 'a rate of 0',
    sections: {
      links:
        '[{ shape: star, center: a, leaves: b, policies: [all], bandwidth: [{ down: 0Mbit }] }]',
    },
    says: 'links[0].bandwidth[0].down: at this rate no bytes go; `mode: scheduled` says more plainly when they may [zero-bandwidth]',
  },
  {
    name: 'a window shorter than a minute',
    sections: {
      policies: policies('mode: scheduled, schedule: { cron: "0 1 * * *", window: 30s, tz: UTC }'),
    },
    says: 'policies.all.schedule.window: expected a window of 1m or more: nothing is fetched in less [odd-window]',
  },
  {
    name: 'a window longer than the time to the next one',
    sections: {
      policies: policies('mode: scheduled, schedule: { cron: "0 */4 * * *", window: 4h, tz: UTC }'),
    },
    says: 'policies.all.schedule.window: each window ends after the next one has opened: it is always open, as `mode: eager` says plainly [odd-window]',
  },
  {
    name: 'a window on a day that never comes',
    sections: {
      policies: policies('mode: scheduled, schedule: { cron: "0 1 30 2 *", window: 4h, tz: UTC }'),
    },
    says: 'policies.all.schedule.cron: no window ever opens: there is no such day [odd-window]',
  },
  {
    name: 'a schedule in a cycle that brings the same at once',
    sections: {
      policies: policies('mode: eager', `mode: scheduled, ${NIGHT}`),
      links:
        '[{ from: a, to: b, policies: [p1] }, { shape: mesh, members: [a, b], policies: [all] }]',
      nodes: '{ a: { endpoint: "http://a:1" }, b: { endpoint: "http://b:1" } }',
    },
    says: 'policies.p1: mode scheduled holds nothing back at b: policy "all" brings the same there at once [overruled-mode]',
  },
  {
    name: 'hours of the site at a node without a time zone',
    sections: {
      policies: policies('mode: scheduled, schedule: { cron: "0 1 * * *", window: 4h, tz: site }'),
    },
    says: 'nodes.b: policy "all": read in the time zone of the receiver, and b has none, so UTC holds; add timeZone [no-time-zone]',
  },
  {
    name: 'hours of a rate at a node without a time zone',
    sections: {
      links:
        '[{ shape: star, center: a, leaves: b, policies: [all], bandwidth: [{ when: "Mon-Fri", down: 1Mbit }] }]',
    },
    says: 'nodes.b: hours of bandwidth: read in the time zone of the receiver, and b has none, so UTC holds; add timeZone [no-time-zone]',
  },
]

describe('topology / lints', () => {
  test.each(CASES)('$name is a warning, and the file counts', ({ sections, says }) => {
    const text = textOf(sections)
    const warnings = findingLines(text).filter((line) => line.startsWith('warning '))
    expect(warnings.map((line) => line.replace(/^warning \d+:\d+ /, ''))).toEqual([says])
    expect(readTopology(text).topology).toBeDefined()
  })

  test('every lint has a case, or is an error or a note', () => {
    const shown = CASES.map(({ says }) => /\[([a-z-]+)\]$/.exec(says)?.[1] ?? '')
    const others = ['concurrent-writers', 'single-source']
    expect([...new Set([...shown, ...others])].sort()).toEqual([...LINT_NAMES].sort())
  })

  test.each([
    [
      'one writer has an endpoint',
      '{ a: {}, b: { endpoint: "http://b:1" }, c: {} }',
      '[a, b]',
      'proxy',
    ],
    ['no node has one', '{ a: {}, b: {}, c: {} }', 'a', 'redirect'],
    [
      'pushes elsewhere are refused',
      '{ a: {}, b: { endpoint: "http://b:1" }, c: {} }',
      'a',
      'reject',
    ],
    ['every node may write', '{ a: {}, b: { endpoint: "http://b:1" } }', '"*"', 'proxy'],
  ])(
    'it is no mistake of `elsewhere` that writers have no endpoint where %s',
    (...[, nodes, writers, elsewhere]) => {
      const conflict = 'conflict: { tags: register, resolve: hlc-lww }'
      const origins = `[{ repos: ["**"], writers: ${writers}, elsewhere: ${elsewhere}, ${conflict} }]`
      expect(findingLines(textOf({ nodes, origins })).join()).not.toContain('nowhere to hand')
    },
  )

  test('a finding says by which lint it was found', () => {
    const { findings } = readTopology(textOf({ nodes: '{ a: {}, b: {} }' }))
    expect(findings.map(({ lint, severity }) => [lint, severity])).toEqual([
      ['missing-endpoint', 'warning'],
      ['single-source', 'note'],
    ])
  })

  test('that nodes have one source is one note, whatever their number', () => {
    const leaves = Array.from({ length: 20 }, (_, at) => `leaf-${at}: { labels: { l: x } }`)
    const nodes = `{ a: { endpoint: "http://a:1" }, ${leaves.join(', ')} }`
    const links = '[{ shape: star, center: a, leaves: { l: x }, policies: [all] }]'
    expect(findingLines(textOf({ nodes, links }))).toEqual([
      'note 7:1 links: nodes with one source alone: leaf-0, leaf-1, leaf-2, leaf-3, leaf-4, leaf-5, leaf-6, leaf-7 and 12 more from a. While it is down nothing new comes there [single-source]',
    ])
  })

  test('windows that follow one another at some hours only are not always open', () => {
    const found = (cron: string) =>
      findingLines(
        textOf({
          policies: policies(`mode: scheduled, schedule: { cron: "${cron}", window: 1h, tz: UTC }`),
        }),
      ).filter((line) => line.includes('odd-window'))
    expect(found('0 1,2,3 * * *')).toEqual([])
    expect(found('0 * * * *')).toHaveLength(1)
  })

  test('a node with two sources, and a writer, are none of them', () => {
    const nodes = '{ a: { endpoint: "http://a:1" }, b: { endpoint: "http://b:1" }, c: {} }'
    const links = '[{ from: a, to: b, policies: [all] }, { from: [a, b], to: c, policies: [all] }]'
    expect(findingLines(textOf({ nodes, links }))).toEqual([
      'note 7:1 links: nodes with one source alone: b from a. While it is down nothing new comes there [single-source]',
    ])
  })

  test('a member of a mesh is no source of itself, and a writer with one source is not named', () => {
    const nodes = '{ a: { endpoint: "http://a:1" }, b: { endpoint: "http://b:1" } }'
    const links = '[{ shape: mesh, members: "*", policies: [all] }]'
    const notes = (writers: string) => {
      const origins = `[{ repos: ["**"], writers: ${writers}, conflict: { tags: register, resolve: hlc-lww } }]`
      return findingLines(textOf({ nodes, links, origins }))
    }
    expect(notes('a')).toEqual([expect.stringContaining('one source alone: b from a.')])
    expect(notes('[a, b]')).toEqual([])
  })

  test('that a value is not meant is no mistake where a node has it', () => {
    const nodes = '{ a: { endpoint: "http://a:1", labels: { arch: arm64 } }, b: {} }'
    const links = '[{ shape: star, center: a, leaves: { arch: "!arm64" }, policies: [all] }]'
    expect(findingLines(textOf({ nodes, links }))).toEqual([expect.stringMatching(/^note /)])
  })

  test.each([
    ['repositories', 'match: { repos: ["x/**"] }'],
    ['tags', 'match: { repos: ["**"], tags: { include: ["v*"] } }'],
    ['versions', 'match: { repos: ["**"], tags: { semver: ">=1" } }'],
    ['platforms', 'match: { repos: ["**"], platforms: [linux/arm64] }'],
  ])('a schedule is no mistake where the other way brings fewer %s', (_what, match) => {
    const warnings = (all: string, eager: string) =>
      findingLines(
        textOf({
          policies: `{ all: { ${all}, mode: scheduled, ${NIGHT} }, some: { ${eager}, mode: eager } }`,
          links: '[{ shape: star, center: a, leaves: b, policies: [all, some] }]',
        }),
      ).filter((line) => line.startsWith('warning'))
    const everything = 'match: { repos: ["**"] }'
    expect(warnings(everything, match)).toEqual([])
    expect(warnings(match, match)).toEqual([expect.stringContaining('[overruled-mode]')])
    expect(warnings(match, everything)).toEqual([expect.stringContaining('[overruled-mode]')])
  })

  test('warnings wait until the file has no errors', () => {
    expect(findingLines(textOf({ nodes: '{ a: { x: 1 }, b: {}, c: {} }' }))).toEqual([
      expect.stringContaining('error 4:15 nodes.a.x'),
    ])
    const link = '[{ shape: star, center: nobody, leaves: { kind: x }, policies: [all] }]'
    const found = findingLines(textOf({ links: link }))
    expect(found.filter((line) => line.startsWith('error')).length).toBeGreaterThan(0)
    expect(found.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringContaining('[unknown-label]'),
    ])
  })
})

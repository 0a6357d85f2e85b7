import { describe, expect, test } from 'vitest'
import { graphOf } from '../../../src/forecast/graph.ts'
import { dotText, mermaidText } from '../../../src/forecast/graph-formats.ts'
import { svgText } from '../../../src/forecast/graph-svg.ts'
import { graphText } from '../../../src/forecast/graph-text.ts'
import { shippedText, topologyOf, topologyWith } from '../../helpers/topology-texts.ts'

const shipped = (name: string) => graphOf(topologyOf(shippedText(name)))

describe('forecast / graph', () => {
  test('a hierarchy is a tree in the terminal, with the links and policies by which each node hangs', () => {
    expect(graphText(shipped('three-level'))).toBe(
      `
three-level, generation 1: 6 nodes, 2 links

hq                writes pos/**
├── eu-1          [0] pos
│   ├── shop-001  [1] pos-at-night
│   └── shop-002  [1] pos-at-night
└── us-1          [0] pos
    └── shop-101  [1] pos-at-night

pos           eager, pos/**, tags >=3.0.0 <4.0.0, linux/amd64 linux/arm64
pos-at-night  scheduled, pos/**, tags >=3.0.0 <4.0.0, linux/amd64 linux/arm64
`.trim(),
    )
  })

  test('a ring, a mesh and what leads across the tree stand below it', () => {
    expect(graphText(shipped('ring'))).toBe(
      `
ring, generation 1: 4 nodes, 1 link

a  writes **
c  writes **
b
d

[0] all: a <-> b <-> c <-> d <-> a

all  eager, **
`.trim(),
    )
    const crossed = topologyWith({
      nodes: '{ a: {}, b: {}, c: {}, d: {} }',
      links: `[{ from: a, to: [b, c], policies: [all] }, { from: b, to: d, policies: [all] },
        { from: c, to: d, policies: [all] }, { shape: mesh, members: [b, c], policies: [all] }]`,
    })
    expect(graphText(graphOf(crossed))).toBe(
      `
test, generation 1: 4 nodes, 4 links

a          writes **
├── b      [0] all
│   └── d  [1] all
└── c      [0] all

[2] all: c -> d
[3] all: b, c, each with each other

all  eager, **
`.trim(),
    )
  })

  test('no line is longer than 80 columns, and a thousand leaves are told in a few lines', () => {
    const leaves = Array.from({ length: 1000 }, (_, at) => `shop-${at}`)
    const wide = topologyWith({
      nodes: JSON.stringify(Object.fromEntries(['a', ...leaves].map((name) => [name, {}]))),
      links: JSON.stringify([
        { shape: 'star', center: 'a', leaves, policies: ['all'] },
        { shape: 'mesh', members: leaves.slice(0, 60), policies: ['all'] },
      ]),
    })
    const lines = graphText(graphOf(wide)).split('\n')
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.length).toBeLessThan(50)
    expect(lines).toContain('└── and 977 more')
  })

  test('Mermaid draws an arrow a pair, both ways where the same links lead both ways, dashed where content waits', () => {
    expect(mermaidText(shipped('edge-pull-through'))).toBe(
      `
%% edge-pull-through, generation 1
flowchart TD
  n0["hub"]
  n1["edge-1"]
  n2["edge-2"]
  n0 -.->|"pinned, cache"| n1
  n0 -.->|"pinned, cache"| n2
  n1 <-.->|"cache"| n2
`.trim(),
    )
  })

  test('DOT has a rank a level', () => {
    expect(dotText(shipped('hierarchical'))).toBe(
      `
// hierarchical, generation 1
digraph topology {
  node [shape=box, style=rounded]
  { rank=same; "hub" }
  { rank=same; "eu"; "us" }
  { rank=same; "eu-1"; "eu-2"; "us-1"; "us-2" }
  "hub" -> "eu" [label="all"]
  "hub" -> "us" [label="all"]
  "eu" -> "eu-1" [label="releases"]
  "eu" -> "eu-2" [label="releases"]
  "us" -> "us-1" [label="releases"]
  "us" -> "us-2" [label="releases"]
}
`.trim(),
    )
  })

  test('names of policies and realms stay text in every format', () => {
    const odd = topologyWith({
      metadata: JSON.stringify({ name: 'a"<b> ]]', generation: 1 }),
      policies: JSON.stringify({ '"<&>\\': { match: { repos: ['**'] }, mode: 'eager' } }),
      links: JSON.stringify([{ shape: 'star', center: 'a', leaves: 'b', policies: ['"<&>\\'] }]),
    })
    const graph = graphOf(odd)
    expect(dotText(graph)).toContain('[label="\\"<&>/"]')
    expect(mermaidText(graph)).toContain('|"#quot;<&>/"|')
    expect(mermaidText(graph).split('\n')[0]).toBe('%% a"<b> ]], generation 1')
    const svg = svgText(graph)
    expect(svg).toContain('<title>a&quot;&lt;b&gt;')
    expect(svg).toContain('&quot;&lt;&amp;&gt;\\: eager, **')
  })

  test('the picture is the same every time, has a box a node and a line a link, and nothing lies outside', () => {
    for (const name of ['three-level', 'ring', 'full-mesh', 'edge-pull-through']) {
      const svg = svgText(shipped(name))
      expect(svgText(shipped(name))).toBe(svg)
      const graph = shipped(name)
      expect(svg.match(/<g>/g)).toHaveLength(graph.nodes.length)
      const [, width, height] = /viewBox="0 0 (\S+) (\S+)"/.exec(svg) ?? []
      const paths = [...svg.matchAll(/ d="([^"]*)"/g)].map(([, path = '']) => path)
      const points = paths.flatMap((path) => [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)])
      expect(points.length).toBeGreaterThan(graph.nodes.length)
      const isOutside = (value: number, size: string | undefined) =>
        value < 0 || value > Number(size)
      const outside = points.filter(
        ([, x, y]) => isOutside(Number(x), width) || isOutside(Number(y), height),
      )
      expect(outside).toEqual([])
    }
    const lines = svgText(shipped('three-level')).match(/stroke-width/g)
    expect(lines).toHaveLength(5)
  })
})

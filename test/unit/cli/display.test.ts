import { describe, expect, test } from 'vitest'
import {
  createDisplay,
  levelLines,
  type NodeProgress,
  progressLine,
} from '../../../src/cli/display.ts'
import { table } from '../../../src/cli/output.ts'
import { bytesText } from '../../../src/lib/bytes-text.ts'

function node(change: Partial<NodeProgress>): NodeProgress {
  return {
    name: 'eu',
    level: 1,
    bytesDone: 0,
    bytesTotal: undefined,
    visibleAfterMs: undefined,
    firstByteAfterMs: undefined,
    ...change,
  }
}

/** What a terminal, or a file, would receive. */
function outlet(isTTY: boolean) {
  const written: string[] = []
  const write = (text: string) => written.push(text) > 0
  return { written, out: { isTTY, write } as unknown as NodeJS.WriteStream }
}

describe('cli / display', () => {
  test('a line shows how much is there and how fast it comes', () => {
    const half = node({ bytesDone: 5_000_000, bytesTotal: 10_000_000, firstByteAfterMs: 1_000 })
    const line = progressLine(half, 2_000)
    expect(line).toContain(`[${'#'.repeat(12)}${'.'.repeat(12)}]`)
    expect(line).toContain('5.0 MB of 10.0 MB')
    expect(line).toContain('5.0 MB/s')
  })

  test('a node that shows the tag is full, and says when', () => {
    expect(progressLine(node({ visibleAfterMs: 42 }), 100)).toMatch(
      /\[#{24}\].*visible after 42 ms/,
    )
  })

  test('a node without news waits', () => {
    expect(progressLine(node({}), 100)).toMatch(/\[\.{24}\].*waiting/)
  })

  test('a level is reached when its last node is', () => {
    const nodes = [
      node({ name: 'hub', level: 0, visibleAfterMs: 5 }),
      node({ name: 'eu', visibleAfterMs: 30 }),
      node({ name: 'us', visibleAfterMs: 20 }),
      node({ name: 'edge', level: 2 }),
    ]
    expect(levelLines(nodes)).toEqual([
      'level 0: 5 ms (hub)',
      'level 1: 30 ms (eu, us)',
      'level 2: not yet everywhere (edge)',
    ])
  })

  test('a terminal is drawn over, line for line', () => {
    const { written, out } = outlet(true)
    const display = createDisplay(out)
    display.draw([node({}), node({ name: 'us' })], 1)
    display.draw([node({}), node({ name: 'us' })], 2)
    expect(written[0]).not.toContain('\u001b[2A')
    expect(written[1]?.startsWith('\u001b[2A')).toBe(true)
  })

  test('elsewhere a node is told of once, when it has the tag, without control characters', () => {
    const { written, out } = outlet(false)
    const display = createDisplay(out)
    display.draw([node({})], 1)
    display.draw([node({ visibleAfterMs: 7 })], 8)
    display.draw([node({ visibleAfterMs: 7 })], 9)
    expect(written).toHaveLength(1)
    expect(written[0]).not.toContain('\u001b')
  })

  test('elsewhere nodes are told of in the order of the tree, whichever has the tag first', () => {
    const { written, out } = outlet(false)
    const display = createDisplay(out)
    const [eu, us] = [node({ name: 'eu' }), node({ name: 'us', visibleAfterMs: 5 })]
    display.draw([eu, us], 6)
    expect(written).toEqual([])
    display.draw([{ ...eu, visibleAfterMs: 7 }, us], 8)
    expect(written.map((line) => line.trim().split(' ')[0])).toEqual(['eu', 'us'])
  })
})

describe('cli / output', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [8_400_000, '8.4 MB'],
    [2_500_000_000, '2.5 GB'],
  ])('%i bytes are written %s', (bytes, text) => expect(bytesText(bytes)).toBe(text))

  test('cells stand in columns, without blanks at the end of a line', () => {
    expect(
      table([
        ['A', 'LONG', ''],
        ['bbb', 'c', 'd'],
      ]),
    ).toBe('A    LONG\nbbb  c     d')
  })
})

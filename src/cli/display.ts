/** The live display of a spreading image: one line a node, drawn over on a terminal, plain lines elsewhere. */
import { bytesText } from '../lib/bytes-text.ts'

export interface NodeProgress {
  readonly name: string
  /** Distance from the writer along the links. */
  readonly level: number
  bytesDone: number
  bytesTotal: number | undefined
  /** Milliseconds from the push until the tag was visible here. */
  visibleAfterMs: number | undefined
  /** Milliseconds from the push until the first byte counted here. */
  firstByteAfterMs: number | undefined
}

const BAR = 24

/** How much of it is there, from 0 to 1. */
export function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}]`
}

/** One line: name, bar, bytes, rate or time. */
export function progressLine(node: NodeProgress, elapsedMs: number): string {
  const { name, level, bytesDone, bytesTotal, visibleAfterMs } = node
  const share = visibleAfterMs === undefined ? (bytesTotal ? bytesDone / bytesTotal : 0) : 1
  const bytes =
    bytesTotal === undefined ? '' : `${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`
  const state =
    visibleAfterMs === undefined ? rateText(node, elapsedMs) : `visible after ${visibleAfterMs} ms`
  return `${`${'  '.repeat(level)}${name}`.padEnd(14)}${bar(share)} ${bytes.padEnd(20)} ${state}`
}

function rateText({ bytesDone, firstByteAfterMs }: NodeProgress, elapsedMs: number): string {
  if (firstByteAfterMs === undefined || bytesDone === 0) return 'waiting'
  const seconds = Math.max(0.001, (elapsedMs - firstByteAfterMs) / 1000)
  return `${bytesText(Math.round(bytesDone / seconds))}/s`
}

/** Time to each level: when its last node showed the tag. */
export function levelLines(nodes: readonly NodeProgress[]): readonly string[] {
  const levels = [...new Set(nodes.map(({ level }) => level))].sort((a, b) => a - b)
  return levels.map((level) => {
    const members = nodes.filter((node) => node.level === level)
    const times = members.map(({ visibleAfterMs }) => visibleAfterMs)
    const last = times.includes(undefined)
      ? 'not yet everywhere'
      : `${Math.max(...times.map(Number))} ms`
    return `level ${level}: ${last} (${members.map(({ name }) => name).join(', ')})`
  })
}

export interface Display {
  draw(nodes: readonly NodeProgress[], elapsedMs: number): void
}

/** Draws over its own lines on a terminal; elsewhere prints a line when a node and all before it have it. */
export function createDisplay(out: NodeJS.WriteStream): Display {
  let drawn = 0
  let told = 0
  return {
    draw: (nodes, elapsedMs) => {
      if (out.isTTY) {
        const lines = nodes.map((node) => `\u001b[2K${progressLine(node, elapsedMs)}\n`)
        out.write((drawn > 0 ? `\u001b[${drawn}A` : '') + lines.join(''))
        drawn = nodes.length
        return
      }
      for (const node of nodes.slice(told)) {
        if (node.visibleAfterMs === undefined) return
        told += 1
        out.write(`${progressLine(node, elapsedMs)}\n`)
      }
    },
  }
}

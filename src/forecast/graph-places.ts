/** Where the boxes of a picture stand: rows by level, or a circle. */
import { type Graph, jointsOf } from './graph.ts'

/** The middle of a box, from the upper left corner. */
export interface Point {
  readonly x: number
  readonly y: number
}

export interface Places {
  readonly places: ReadonlyMap<string, Point>
  readonly width: number
  readonly height: number
}

export interface Box {
  readonly width: number
  readonly height: number
  readonly margin: number
}

const GAP = { x: 28, y: 76 }
/** Boxes in one row; further ones of the level stand in another row below. */
const MAX_ROW = 12

export function placesOf(graph: Graph, box: Box): Places {
  const levels = new Map(graph.nodes.map(({ name, level }) => [name, level]))
  const joints = jointsOf(graph)
  const down = joints.filter(({ a, b }) => levels.get(a) !== levels.get(b)).length
  const isRound = graph.links.every(({ kind }) => kind !== 'arrows') && graph.nodes.length > 2
  return isRound || down * 2 < joints.length ? inCircle(graph, box) : inRows(graph, box)
}

/** Members of rings and meshes in their order, the others after them. */
function inCircle({ nodes, links }: Graph, { width, height, margin }: Box): Places {
  const members = links.flatMap((link) => link.members)
  const names = [...new Set<string>([...members, ...nodes.map(({ name }) => name)])]
  const radius = Math.max(height * 3, (names.length * (width + GAP.x)) / (2 * Math.PI))
  const middle = { x: margin + width / 2 + radius, y: margin + height / 2 + radius }
  const places = names.map((name, at) => {
    const angle = (2 * Math.PI * at) / names.length - Math.PI / 2
    const place = {
      x: round(middle.x + radius * Math.cos(angle)),
      y: round(middle.y + radius * Math.sin(angle)),
    }
    return [name, place] as const
  })
  const side = (size: number) => Math.ceil(2 * (margin + radius) + size)
  return { places: new Map(places), width: side(width), height: side(height) }
}

/** Within a row by where those stand that send to them, so that few lines cross. */
function inRows(graph: Graph, { width, height, margin }: Box): Places {
  const senders = new Map<string, string[]>()
  for (const { a, b } of jointsOf(graph)) senders.set(b, [...(senders.get(b) ?? []), a])
  const order = new Map<string, number>()
  const rows: string[][] = []
  for (const level of new Set(graph.nodes.map((node) => node.level))) {
    const names: string[] = graph.nodes
      .filter((node) => node.level === level)
      .map(({ name }) => name)
    const weight = new Map(
      names.map((name, at) => {
        const above = (senders.get(name) ?? []).flatMap((from) => order.get(from) ?? [])
        const sum = above.reduce((total, one) => total + one, 0)
        return [name, above.length === 0 ? at / names.length : sum / above.length]
      }),
    )
    const sorted = names.sort((one, other) => (weight.get(one) ?? 0) - (weight.get(other) ?? 0))
    for (const [at, name] of sorted.entries()) order.set(name, (at + 0.5) / sorted.length)
    for (let at = 0; at < sorted.length; at += MAX_ROW) rows.push(sorted.slice(at, at + MAX_ROW))
  }
  const longest = Math.max(1, ...rows.map(({ length }) => length))
  const full = longest * (width + GAP.x) - GAP.x
  const places = rows.flatMap((row, level) =>
    row.map((name, at) => {
      const left = (full - (row.length * (width + GAP.x) - GAP.x)) / 2
      const place = {
        x: round(margin + left + at * (width + GAP.x) + width / 2),
        y: margin + height / 2 + level * (height + GAP.y),
      }
      return [name, place] as const
    }),
  )
  return {
    places: new Map(places),
    width: full + 2 * margin,
    height: rows.length * (height + GAP.y) - GAP.y + 2 * margin,
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

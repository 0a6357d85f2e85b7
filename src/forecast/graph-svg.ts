/** The graph as a picture: levels in rows, or a circle where the links do not lead down. No library, the same bytes every time. */
import { type Graph, type GraphLink, isEager, type Joint, jointsOf, policyText } from './graph.ts'
import { type Point, placesOf } from './graph-places.ts'

const BOX = { width: 116, height: 34 }
const MARGIN = 24
const LINE = 18
const HEAD = 9
/** Told apart also by people who see red and green as one (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#555555']

export function svgText(graph: Graph): string {
  const { places, width, height } = placesOf(graph, { ...BOX, margin: MARGIN })
  const joints = jointsOf(graph)
  const legend = graph.links.flatMap((link) =>
    link.policies.map((policy, at) => ({
      colour: colourOf(link),
      text: `${at === 0 ? `links[${link.number}] ` : ''}${policy.name}: ${policyText(policy)}`,
    })),
  )
  const longest = Math.max(0, ...legend.map(({ text }) => text.length))
  const full = {
    width: Math.max(width, longest * 7 + 2 * MARGIN),
    height: height + legend.length * LINE + MARGIN,
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${full.width} ${full.height}" width="${full.width}" height="${full.height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(graph.realm)}, generation ${graph.generation}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...joints.flatMap((joint) => jointLines(joint, places)),
    ...graph.nodes.flatMap(({ name, writes }) => boxLines(name, writes, places.get(name))),
    ...legend.map(
      ({ colour, text }, at) =>
        `<text x="${MARGIN}" y="${height + (at + 1) * LINE}" fill="${colour}">${escaped(text)}</text>`,
    ),
    '</svg>',
  ].join('\n')
}

function colourOf({ number }: GraphLink): string {
  return COLOURS[number % COLOURS.length] ?? '#000000'
}

/** A line for each link between the two, side by side. */
function jointLines(
  { a, b, isBothWays, links }: Joint,
  places: ReadonlyMap<string, Point>,
): readonly string[] {
  const [from, to] = [places.get(a), places.get(b)]
  if (from === undefined || to === undefined) return []
  return links.flatMap((link, at) => {
    const colour = colourOf(link)
    const aside = (at - (links.length - 1) / 2) * 12
    const [start, end] = [edgePoint(from, to, aside), edgePoint(to, from, -aside)]
    const middle = bentOver(start, end, from.y === to.y)
    const dash = isEager(link) ? '' : ' stroke-dasharray="5 4"'
    const by = middle === undefined ? 'L' : `Q${middle.x} ${middle.y} `
    return [
      `<path d="M${start.x} ${start.y}${by}${end.x} ${end.y}" fill="none" stroke="${colour}" stroke-width="1.5"${dash}/>`,
      arrowHead(middle ?? start, end, colour),
      ...(isBothWays ? [arrowHead(middle ?? end, start, colour)] : []),
    ]
  })
}

/** Drawn, as not every viewer turns markers. */
function arrowHead(from: Point, tip: Point, colour: string): string {
  const length = Math.hypot(tip.x - from.x, tip.y - from.y) || 1
  const [x, y] = [((tip.x - from.x) / length) * HEAD, ((tip.y - from.y) / length) * HEAD]
  const corner = (side: number) =>
    `${round(tip.x - x - (side * y) / 2)} ${round(tip.y - y + (side * x) / 2)}`
  return `<path d="M${tip.x} ${tip.y} ${corner(1)} ${corner(-1)}z" fill="${colour}"/>`
}

/** Between boxes of one row a line goes above those that stand between. */
function bentOver(start: Point, end: Point, isRow: boolean): Point | undefined {
  if (!isRow || Math.abs(end.x - start.x) < BOX.width) return undefined
  return { x: round((start.x + end.x) / 2), y: start.y - BOX.height }
}

/** Where the line between two middles leaves the first box. */
function edgePoint(from: Point, to: Point, aside: number): Point {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.hypot(dx, dy) || 1
  const scale = Math.min(
    BOX.width / 2 / Math.max(Math.abs(dx), 1e-9),
    BOX.height / 2 / Math.max(Math.abs(dy), 1e-9),
  )
  return {
    x: round(from.x + dx * scale - (dy / length) * aside),
    y: round(from.y + dy * scale + (dx / length) * aside),
  }
}

function boxLines(
  name: string,
  writes: readonly string[],
  at: Point | undefined,
): readonly string[] {
  if (at === undefined) return []
  const isWriter = writes.length > 0
  const shown = name.length > 15 ? `${name.slice(0, 14)}…` : name
  const title = isWriter ? `${name} writes ${writes.join(' ')}` : name
  return [
    `<g><title>${escaped(title)}</title><rect x="${round(at.x - BOX.width / 2)}" y="${round(at.y - BOX.height / 2)}" width="${BOX.width}" height="${BOX.height}" rx="6" fill="${isWriter ? '#fff3d6' : '#f4f6f8'}" stroke="#333333"/>`,
    `<text x="${at.x}" y="${round(at.y + 4)}" text-anchor="middle">${escaped(shown)}</text></g>`,
  ]
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

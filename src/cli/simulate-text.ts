/** The report of a simulated topology as people read it. */
import { bytesText } from '../lib/bytes-text.ts'
import {
  busiestOf,
  type Counts,
  type LinkCounts,
  sumOf,
  TRAFFIC_KINDS,
  totalOf,
} from '../simulator/scale-meter.ts'
import type {
  LevelReport,
  PushReport,
  ScaleOptions,
  ScaleReport,
} from '../simulator/scale-report.ts'
import { table } from './output.ts'

/** Names in a line, at most. */
const MAX_NAMES = 4
const [MS_PER_SECOND, MS_PER_MINUTE] = [1_000, 60_000]
const MBIT = 125_000

export function reportText(report: ScaleReport, options: ScaleOptions): string {
  const { start, pushes, quiet } = report
  return [
    ...headOf(report, options),
    '',
    `Start: ${report.links} links`,
    trafficText(sumOf(start.links)),
    ...pushes.flatMap((push, at) => ['', ...pushText(push, at + 1, options)]),
    ...(quiet.ms === 0 ? [] : ['', ...quietText(report)]),
  ].join('\n')
}

function headOf(
  { realm, nodes, repeated, copies }: ScaleReport,
  { linkRate, nodeRate, roundTripMs, degree, seed }: ScaleOptions,
): readonly string[] {
  const how =
    copies.length === 0
      ? 'as in the file'
      : `${nodes - copies.length} of the file, and ${copies.length} copies of ${some(repeated)}, called ${some(copies)}; copies write nothing`
  return [
    `${realm}: ${nodes} nodes, ${how}`,
    `Every link has ${rateText(linkRate)} each way, shared evenly by its transfers, and a round trip of ${roundTripMs} ms;`,
    `a node sends ${rateText(nodeRate)} in all, shared evenly too. News is passed on to ${degree} members of a link group.`,
    'Messages are counted by their payload. No disk, no hashing and no lost packet takes time here. Seed ' +
      `${seed}.`,
  ]
}

function pushText(
  push: PushReport,
  number: number,
  { linkRate, nodeRate }: ScaleOptions,
): readonly string[] {
  const { repository, tag, writer, imageBytes, receivers, ms, links, levels } = push
  const busiest = busiestOf(links)
  const sender = busiestSender(push)
  return [
    `Push ${number}: ${repository}:${tag}, ${bytesText(imageBytes)}, at ${writer}; shown at all ${receivers} others after ${timeText(ms)}`,
    ...levels.map(levelText),
    trafficText(sumOf(links)),
    ...(busiest === undefined
      ? []
      : [
          `Busiest link: ${linkText(busiest)}, ${shareText(contentOf(busiest), linkRate, ms)} of its rate`,
        ]),
    `Busiest sender: ${sender.name}, ${bytesText(sender.bytes)} of content, ${shareText(sender.bytes, nodeRate, ms)} of its rate`,
  ]
}

function levelText({ level, nodes, firstMs, lastMs }: LevelReport): string {
  const when =
    nodes === 1 ? timeText(lastMs) : `first ${timeText(firstMs)}, last ${timeText(lastMs)}`
  return `  level ${level}: ${when} (${nodes} ${nodes === 1 ? 'node' : 'nodes'})`
}

function quietText({ quiet, nodes }: ScaleReport): readonly string[] {
  const perHour = (MS_PER_MINUTE * 60) / quiet.ms
  const { messages, bytes } = totalOf(sumOf(quiet.links))
  const busiest = busiestOf(quiet.links)
  const each = (count: number) => (count * perHour) / nodes
  return [
    `Quiet: ${timeText(quiet.ms)} without a push; in an hour ${Math.round(each(messages))} messages and ${bytesText(Math.round(each(bytes)))} per node`,
    trafficText(sumOf(quiet.links)),
    ...(busiest === undefined ? [] : [`Busiest link: ${linkText(busiest)}`]),
  ]
}

function trafficText(counts: Counts): string {
  const row = (name: string, { messages, bytes }: Counts['feed']) => [
    `  ${name}`,
    String(messages),
    bytesText(bytes),
  ]
  return table([
    ['  TRAFFIC', 'MESSAGES', 'BYTES'],
    ...TRAFFIC_KINDS.filter((kind) => counts[kind].messages > 0).map((kind) =>
      row(kind, counts[kind]),
    ),
    row('total', totalOf(counts)),
  ])
}

function linkText(link: LinkCounts): string {
  const { messages, bytes } = totalOf(link.counts)
  return `${link.a} - ${link.b}, ${messages} messages, ${bytesText(bytes)}`
}

function contentOf({ counts }: LinkCounts): number {
  return counts.content.bytes
}

function busiestSender({ sent }: PushReport): PushReport['sent'][number] {
  return sent.reduce((best, one) => (one.bytes > best.bytes ? one : best))
}

function shareText(bytes: number, rate: number, ms: number): string {
  return `${Math.round((bytes / rate / ms) * MS_PER_SECOND * 100)} %`
}

function rateText(rate: number): string {
  return `${Math.round((rate / MBIT) * 1_000) / 1_000} Mbit/s`
}

function timeText(ms: number): string {
  if (ms < MS_PER_SECOND) return `${Math.round(ms)} ms`
  if (ms < 2 * MS_PER_MINUTE) return `${(ms / MS_PER_SECOND).toFixed(1)} s`
  const seconds = Math.round(ms / MS_PER_SECOND)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

function some(names: readonly string[]): string {
  const more = names.length - MAX_NAMES
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

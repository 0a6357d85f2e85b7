/** Lints of times and rates: windows that make no sense, hours in a time zone that nobody wrote, links without any rate. */
import type { FindingOptions, Findings } from './findings.ts'
import { linkNumber } from './links.ts'
import { listText } from './lint-nodes.ts'
import { rhythmOf } from './rhythm.ts'
import type { PolicyDocument, TopologyDocument } from './schema.ts'
import type { NodeName, Topology } from './topology.ts'

type Add = Pick<Findings, 'add'>

/** Shorter than this a window ends before a transfer that was planned for it has begun. Milliseconds. */
const LEAST_WINDOW = 60_000

export function lintTimes(document: TopologyDocument, topology: Topology, findings: Add): void {
  for (const [name, policy] of Object.entries(document.policies)) {
    lintWindow(name, policy, findings)
    lintMode(name, document, topology, findings)
  }
  lintZones(document, topology, findings)
  for (const [at, { bandwidth }] of document.links.entries()) {
    for (const [number, entry] of bandwidth.entries()) {
      for (const way of ['down', 'up'] as const) {
        if (entry[way] !== 0) continue
        const message =
          'at this rate no bytes go; `mode: scheduled` says more plainly when they may'
        const path = ['links', at, 'bandwidth', number, way]
        findings.add(path, message, { severity: 'warning', lint: 'zero-bandwidth' })
      }
    }
  }
}

function lintWindow(name: string, { schedule }: PolicyDocument, findings: Add): void {
  if (schedule === undefined) return
  const path = ['policies', name, 'schedule']
  const options: FindingOptions = { severity: 'warning', lint: 'odd-window' }
  // In every time zone the same, but for an hour on two days.
  const { waitMs } = rhythmOf(schedule.cron, schedule.window, 'UTC')
  if (waitMs === Number.POSITIVE_INFINITY) {
    findings.add([...path, 'cron'], 'no window ever opens: there is no such day', options)
  } else if (waitMs === 0) {
    const message =
      'each window ends after the next one has opened: it is always open, as `mode: eager` says plainly'
    findings.add([...path, 'window'], message, options)
  }
  if (schedule.window < LEAST_WINDOW) {
    findings.add(
      [...path, 'window'],
      'expected a window of 1m or more: nothing is fetched in less',
      options,
    )
  }
}

/**
 * A cycle, or any second way, on which content comes at once: policies unite at the receiver, so this one's windows, or the
 * waiting for somebody's word, hold nothing back there.
 */
function lintMode(
  name: string,
  { policies }: TopologyDocument,
  { groups }: Topology,
  findings: Add,
): void {
  const policy = policies[name]
  if (policy === undefined || policy.mode === 'eager') return
  const receiversOf = (one: string) =>
    new Set(
      groups
        .filter((group) => group.policies.some((other) => other.name === one))
        .flatMap(({ receivers, senders }) =>
          receivers.filter((node) => senders.some((sender) => sender !== node)),
        ),
    )
  for (const [other, eager] of Object.entries(policies)) {
    if (eager.mode !== 'eager' || !covers(eager, policy)) continue
    const receivers = receiversOf(other)
    const twice = [...receiversOf(name)].filter((node) => receivers.has(node)).sort()
    if (twice.length === 0) continue
    const message = `mode ${policy.mode} holds nothing back at ${listText(twice)}: policy "${other}" brings the same there at once`
    findings.add(['policies', name], message, {
      severity: 'warning',
      atKey: true,
      lint: 'overruled-mode',
    })
    return
  }
}

/** Whether all that `narrow` lets through passes by `wide`, as far as the texts tell. */
function covers({ match: wide }: PolicyDocument, { match: narrow }: PolicyDocument): boolean {
  const everyTag =
    wide.tags.include.includes('*') &&
    wide.tags.exclude.length === 0 &&
    wide.tags.semver === undefined
  const sameTags = JSON.stringify(wide.tags) === JSON.stringify(narrow.tags)
  const repos = narrow.repos.every((glob) => wide.repos.includes('**') || wide.repos.includes(glob))
  const platforms =
    wide.platforms === undefined ||
    narrow.platforms?.every((one) => wide.platforms?.includes(one)) === true
  return repos && platforms && (everyTag || sameTags)
}

/** Hours that are read in the receiver's time zone, at receivers that have none in the file. */
function lintZones(document: TopologyDocument, { groups }: Topology, findings: Add): void {
  const isSite = (name: string) => document.policies[name]?.schedule?.tz === 'site'
  const reasons = new Map<NodeName, string>()
  for (const { id, policies, receivers } of groups) {
    const link = document.links[linkNumber({ id })]
    const scheduled = policies.find(({ name }) => isSite(name))
    const hasHours = link?.bandwidth.some(({ when }) => when !== undefined) === true
    if (scheduled === undefined && !hasHours) continue
    const why = scheduled === undefined ? 'hours of bandwidth' : `policy "${scheduled.name}"`
    for (const node of receivers) reasons.set(node, reasons.get(node) ?? why)
  }
  const without = [...reasons].filter(([node]) => document.nodes[node]?.timeZone === undefined)
  for (const why of new Set(without.map(([, reason]) => reason))) {
    const names = without.flatMap(([node, reason]) => (reason === why ? [node] : []))
    const message = `${why}: read in the time zone of the receiver, and ${listText(names)} has none, so UTC holds; add timeZone`
    findings.add(['nodes', names[0] ?? ''], message, {
      severity: 'warning',
      atKey: true,
      lint: 'no-time-zone',
    })
  }
}

/** Lints of nodes: who would be alone, who depends on one other, who cannot be fetched from. */
import type { Findings } from './findings.ts'
import type { NodeName, Topology } from './topology.ts'

type Add = Pick<Findings, 'add'>

/** Names in one line. */
const MAX_NAMED = 8

export function lintNodes(topology: Topology, findings: Add): void {
  const reached = reachedByWriters(topology)
  for (const name of topology.nodes.keys()) {
    if (!reached.has(name) && topology.nodes.size > 1) {
      const isLinked = topology.groups.some(
        ({ senders, receivers }) => senders.includes(name) || receivers.includes(name),
      )
      const message = isLinked
        ? `no chain of links leads from a writer to node ${name}: nothing ever comes there`
        : `no link reaches node ${name}`
      findings.add(['nodes', name], message, {
        severity: 'warning',
        atKey: true,
        lint: 'unreachable-node',
      })
    }
  }
  lintEndpoints(topology, findings)
  lintElsewhere(topology, findings)
  lintSources(topology, findings)
}

/** One line for all: before `entrepot up` has filled them in they all have none. */
function lintEndpoints({ nodes, groups }: Topology, findings: Add): void {
  const without = [...nodes.values()].flatMap(({ name, endpoint }) =>
    endpoint === undefined &&
    groups.some(
      ({ senders, receivers }) =>
        senders.includes(name) && receivers.some((other) => other !== name),
    )
      ? [name]
      : [],
  )
  const [first] = without
  if (first === undefined) return
  const who = without.length === 1 ? `node ${first} sends` : `nodes ${listText(without)} send`
  const message = `${who} to others but ${without.length === 1 ? 'has' : 'have'} no endpoint; \`entrepot up\` fills it in, \`entrepot serve\` needs it`
  findings.add(['nodes', first], message, {
    severity: 'warning',
    atKey: true,
    lint: 'missing-endpoint',
  })
}

/** Writers that a link joins, and all nodes that chains of links lead to from them. */
function reachedByWriters({ groups, origins }: Topology): ReadonlySet<NodeName> {
  const isLinked = (name: NodeName) =>
    groups.some(({ senders, receivers }) => senders.includes(name) || receivers.includes(name))
  const reached = new Set(origins.flatMap(({ writers }) => writers).filter(isLinked))
  const closed = new Set(groups)
  // Grows while it is walked.
  for (const name of reached) {
    for (const group of closed) {
      if (!group.senders.includes(name)) continue
      closed.delete(group)
      for (const to of group.receivers) reached.add(to)
    }
  }
  return reached
}

/** Only where some node has an endpoint: a file that `entrepot up` is to complete gives none. */
function lintElsewhere({ nodes, origins }: Topology, findings: Add): void {
  const hasEndpoint = (name: NodeName) => nodes.get(name)?.endpoint !== undefined
  if (![...nodes.keys()].some(hasEndpoint)) return
  for (const [at, { elsewhere, writers }] of origins.entries()) {
    if (elsewhere === 'reject' || writers.some(hasEndpoint) || writers.length === nodes.size)
      continue
    const message = `no writer has an endpoint (${listText(writers)}), so there is nowhere to hand a push to; add one`
    findings.add(['origins', at, 'elsewhere'], message, {
      severity: 'warning',
      lint: 'missing-endpoint',
    })
  }
}

/** One line for all: in a star it is what was meant. */
function lintSources({ nodes, groups, origins }: Topology, findings: Add): void {
  const writers = new Set(origins.flatMap((origin) => origin.writers))
  const dependent = new Map<NodeName, NodeName[]>()
  for (const name of nodes.keys()) {
    if (writers.has(name)) continue
    const only = onlySource(groups, name)
    if (only === undefined) continue
    dependent.set(only, [...(dependent.get(only) ?? []), name])
  }
  if (dependent.size === 0) return
  const parts = [...dependent].map(([source, names]) => `${listText(names)} from ${source}`)
  const message = `nodes with one source alone: ${parts.join('; ')}. While it is down nothing new comes there`
  findings.add(['links'], message, { severity: 'note', atKey: true, lint: 'single-source' })
}

/** Undefined: there is none, or more than one. */
function onlySource(groups: Topology['groups'], name: NodeName): NodeName | undefined {
  let only: NodeName | undefined
  for (const { senders, receivers } of groups) {
    if (!receivers.includes(name)) continue
    for (const sender of senders) {
      if (sender === name || sender === only) continue
      if (only !== undefined) return undefined
      only = sender
    }
  }
  return only
}

export function listText(names: readonly string[]): string {
  const more = names.length - MAX_NAMED
  return more > 0 ? `${names.slice(0, MAX_NAMED).join(', ')} and ${more} more` : names.join(', ')
}

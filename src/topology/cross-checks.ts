/** What a schema cannot see and no mesh may run with: names that nobody has, writers without a rule between them, keys that need another. */
import { type Findings, type Path, suggestion } from './findings.ts'
import { selectorsOf } from './link-ends.ts'
import { linkNumber } from './links.ts'
import type { TopologyDocument } from './schema.ts'
import { select, unknownNames } from './selector.ts'
import { checkTests } from './test-checks.ts'
import type { Group, Topology, TopologyNode } from './topology.ts'
import type { SelectorText } from './words.ts'

type Add = Pick<Findings, 'add'>

/** At most so many writers a repository, and keys of theirs: `seen` of a record lists them, and a record has 4 KiB. */
const MAX_WRITERS = 32
const MAX_KEYS = 44

export function crossCheck(document: TopologyDocument, topology: Topology, findings: Add): void {
  checkKeys(topology, findings)
  checkOrigins(document, topology, findings)
  checkPolicies(document, findings)
  checkLinks(document, topology, findings)
  checkTests(document.tests, new Set<string>(topology.nodes.keys()), findings)
}

/** No two nodes have one address or key, and a former key is nobody's. */
function checkKeys(topology: Topology, findings: Add): void {
  const used = new Map<string, string>()
  for (const [name, node] of topology.nodes) {
    for (const key of ['endpoint', 'mesh', 'peerId'] as const) {
      const value = node[key]
      if (value === undefined) continue
      const other = used.get(value)
      if (other !== undefined)
        findings.add(['nodes', name, key], `node ${other} has the same ${key}`)
      used.set(value, name)
    }
  }
  const inUse = new Map([...topology.nodes.values()].map(({ peerId, name }) => [peerId, name]))
  for (const [name, { formerPeerIds }] of topology.nodes) {
    for (const [number, { peerId }] of formerPeerIds.entries()) {
      const owner = inUse.get(peerId)
      if (owner === undefined) continue
      const message = `the key is the peerId of node ${owner}: a former key is one that nobody uses any more`
      findings.add(['nodes', name, 'formerPeerIds', number, 'peerId'], message)
    }
  }
}

function checkOrigins(document: TopologyDocument, topology: Topology, findings: Add): void {
  for (const [at, { writers: selector, conflict }] of document.origins.entries()) {
    const path = ['origins', at, 'writers']
    checkSelector(selector, topology, path, findings)
    const writers = topology.origins[at]?.writers ?? []
    if (writers.length > MAX_WRITERS) {
      findings.add(
        path,
        `${writers.length} writers; at most ${MAX_WRITERS} may write one repository`,
      )
    }
    const writing = writers.reduce(
      (sum, name) => sum + 1 + (topology.nodes.get(name)?.formerPeerIds.length ?? 0),
      0,
    )
    if (writing > MAX_KEYS) {
      findings.add(
        path,
        `${writing} keys with those under formerPeerIds; at most ${MAX_KEYS} may write one repository: give up the oldest former keys`,
      )
    }
    if (writers.length > 1 && conflict === undefined) {
      const rule =
        'conflict: { tags: register, resolve: hlc-lww }, with keep: losers-as-suffixed-tag to see both'
      findings.add(
        ['origins', at],
        `several nodes may write (${writers.join(', ')}): say what holds when two do; add ${rule}`,
        { lint: 'concurrent-writers' },
      )
    }
    if (writers.length > 1 && conflict?.tags === 'immutable') {
      findings.add(
        ['origins', at, 'conflict', 'tags'],
        'immutable tags need exactly one writer: an earlier push that arrives late would move the tag',
        { lint: 'concurrent-writers' },
      )
    }
  }
}

/** Keys that mean something beside another one only. */
function checkPolicies(document: TopologyDocument, findings: Add): void {
  for (const [name, { mode, schedule, deletes }] of Object.entries(document.policies)) {
    const path = ['policies', name]
    if (mode === 'scheduled' && schedule === undefined) {
      const example = 'schedule: { cron: "0 1 * * *", window: 4h, tz: site }'
      findings.add([...path, 'mode'], `mode scheduled needs a schedule: add ${example}`)
    }
    if (mode !== 'scheduled' && schedule !== undefined) {
      const message = `a schedule needs mode scheduled; got mode ${mode}, which never waits for a window`
      findings.add([...path, 'schedule'], message)
    }
    const { propagate, ...rules } = deletes
    for (const key of propagate ? [] : Object.keys(rules)) {
      const message = `"${key}" needs propagate: true; without it no delete is applied that it could hold back`
      findings.add([...path, 'deletes', key], message, { atKey: true })
    }
  }
}

function checkLinks(document: TopologyDocument, topology: Topology, findings: Add): void {
  const joining = new Set(topology.groups.filter(joins).map(linkNumber))
  for (const [at, link] of document.links.entries()) {
    const checks = selectorsOf(link).map(([key, selector]) =>
      checkSelector(selector, topology, ['links', at, key], findings),
    )
    for (const [number, name] of link.policies.entries()) {
      if (topology.policies.has(name)) continue
      const hint = suggestion(name, topology.policies.keys())
      findings.add(['links', at, 'policies', number], `unknown policy "${name}"${hint}`)
    }
    if (link.shape === 'ring') {
      for (const [number, name] of link.members.entries()) {
        if (link.members.indexOf(name) === number) continue
        findings.add(['links', at, 'members', number], `"${name}" stands in the ring twice`)
        checks.push(false)
      }
    }
    if (!checks.includes(false) && !joining.has(at)) {
      findings.add(['links', at], 'joins no two nodes')
    }
  }
}

function joins({ senders, receivers }: Group): boolean {
  return senders.some((sender) => receivers.some((receiver) => receiver !== sender))
}

/** Whether the selector means what it says. */
function checkSelector(
  selector: SelectorText,
  topology: Topology,
  path: Path,
  findings: Add,
): boolean {
  const names: ReadonlyMap<string, TopologyNode> = topology.nodes
  const unknown = unknownNames(selector, names)
  for (const name of unknown) {
    const number = Array.isArray(selector) ? [selector.indexOf(name)] : []
    findings.add([...path, ...number], `unknown node "${name}"${suggestion(name, names.keys())}`)
  }
  if (typeof selector === 'string' || Array.isArray(selector)) return unknown.length === 0
  const nodes = [...topology.nodes.values()]
  const isNobody = select(selector, nodes).length === 0
  if (isNobody) {
    const keys = nodes.flatMap(({ labels, locality }) => Object.keys({ ...labels, ...locality }))
    const hints = Object.entries(selector).map(([key, value]) => {
      if (!keys.includes(key)) return suggestion(key, keys)
      const values = nodes.flatMap((node) => valuesOf(node, key))
      return values.includes(value) ? '' : suggestion(value, values)
    })
    const hint = hints.find((one) => one !== '') ?? ''
    findings.add(path, `selects no node: ${JSON.stringify(selector)}${hint}`)
  }
  return !isNobody
}

function valuesOf({ labels, locality }: TopologyNode, key: string): readonly string[] {
  return [labels, locality].flatMap((map) => (Object.hasOwn(map, key) ? (map[key] ?? []) : []))
}

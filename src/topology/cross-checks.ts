/** What a schema cannot see: names that nobody has, nodes that nothing reaches, writers without a rule between them. */
import { type Findings, type Path, suggestion } from './findings.ts'
import { mayMeet } from './glob.ts'
import type { LinkDocument, TopologyDocument } from './schema.ts'
import { select, unknownNames } from './selector.ts'
import type { Group, Topology } from './topology.ts'
import type { SelectorText } from './words.ts'

/** At most so many writers a repository, and keys of theirs: `seen` of a record lists them, and a record has 4 KiB. */
const MAX_WRITERS = 32
const MAX_KEYS = 44

export function crossCheck(
  document: TopologyDocument,
  topology: Topology,
  findings: Pick<Findings, 'add'>,
): void {
  const nodes = [...topology.nodes.values()]
  const names = new Set<string>(topology.nodes.keys())
  const keys = new Set(
    nodes.flatMap(({ labels, locality }) => Object.keys({ ...labels, ...locality })),
  )

  /** Whether the selector means what it says. */
  function checkSelector(selector: SelectorText, path: Path): boolean {
    const unknown = unknownNames(selector, names)
    for (const name of unknown) {
      findings.add(path, `unknown node "${name}"${suggestion(name, names)}`)
    }
    const isMap = typeof selector === 'object' && !Array.isArray(selector)
    for (const key of isMap ? Object.keys(selector) : []) {
      if (keys.has(key)) continue
      const message = `no node has a label or locality "${key}"${suggestion(key, keys)}`
      findings.add([...path, key], message, { severity: 'warning', atKey: true })
    }
    const isNobody = isMap && select(selector, nodes).length === 0
    if (isNobody) findings.add(path, `selects no node: ${JSON.stringify(selector)}`)
    return unknown.length === 0 && !isNobody
  }

  for (const [at, origin] of document.origins.entries()) {
    checkSelector(origin.writers, ['origins', at, 'writers'])
    const earlier = document.origins.slice(0, at).flatMap(({ repos }) => repos)
    if (earlier.includes('**') || origin.repos.every((glob) => earlier.includes(glob))) {
      const message = 'never holds: earlier entries match all of it, and the first match holds'
      findings.add(['origins', at, 'repos'], message, { severity: 'warning' })
    }
    const writers = topology.origins[at]?.writers ?? []
    const { conflict } = origin
    if (writers.length > MAX_WRITERS) {
      findings.add(
        ['origins', at, 'writers'],
        `${writers.length} writers; at most ${MAX_WRITERS} may write one repository`,
      )
    }
    const writing = writers.reduce(
      (sum, name) => sum + 1 + (topology.nodes.get(name)?.formerPeerIds.length ?? 0),
      0,
    )
    if (writing > MAX_KEYS) {
      findings.add(
        ['origins', at, 'writers'],
        `${writing} keys with those under formerPeerIds; at most ${MAX_KEYS} may write one repository: give up the oldest former keys`,
      )
    }
    if (writers.length > 1 && conflict === undefined) {
      const rule =
        'conflict: { tags: register, resolve: hlc-lww }, with keep: losers-as-suffixed-tag to see both'
      findings.add(
        ['origins', at],
        `several nodes may write (${writers.join(', ')}): say what holds when two do; add ${rule}`,
      )
    }
    if (writers.length > 1 && conflict?.tags === 'immutable') {
      findings.add(
        ['origins', at, 'conflict', 'tags'],
        'immutable tags need exactly one writer: an earlier push that arrives late would move the tag',
      )
    }
  }

  for (const [at, link] of document.links.entries()) {
    const checks = selectorsOf(link).map(([key, selector]) =>
      checkSelector(selector, ['links', at, key]),
    )
    for (const [number, name] of link.policies.entries()) {
      if (topology.policies.has(name)) continue
      const hint = suggestion(name, Object.keys(document.policies))
      findings.add(['links', at, 'policies', number], `unknown policy "${name}"${hint}`)
    }
    const groups = topology.groups.filter(({ id }) => id.split('/')[0] === String(at))
    const joins = ({ senders, receivers }: Group) =>
      senders.some((sender) => receivers.some((receiver) => receiver !== sender))
    if (!checks.includes(false) && !groups.some(joins)) {
      findings.add(['links', at], 'joins no two nodes')
    }
  }

  checkNodes(document, topology, findings)
}

function checkNodes(
  document: TopologyDocument,
  topology: Topology,
  findings: Pick<Findings, 'add'>,
): void {
  const used = new Map<string, string>()
  for (const [name, node] of topology.nodes) {
    const linked = topology.groups.filter(
      ({ senders, receivers }) => senders.includes(name) || receivers.includes(name),
    )
    if (linked.length === 0 && topology.nodes.size > 1) {
      findings.add(['nodes', name], `no link reaches node ${name}`, {
        severity: 'warning',
        atKey: true,
      })
    }
    const sends = linked.some(
      ({ senders, receivers }) =>
        senders.includes(name) && receivers.some((other) => other !== name),
    )
    if (sends && node.endpoint === undefined) {
      const message = `node ${name} sends to others but has no endpoint; \`entrepot up\` fills one in, \`entrepot serve\` needs it`
      findings.add(['nodes', name], message, { severity: 'warning', atKey: true })
    }
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
  const writable = document.origins.flatMap(({ repos }) => repos)
  for (const [name, { match }] of Object.entries(document.policies)) {
    for (const [number, glob] of match.repos.entries()) {
      if (writable.some((other) => mayMeet(glob, other))) continue
      const message = `nobody may write a repository like "${glob}": no entry of origins matches one`
      const path = ['policies', name, 'match', 'repos', number]
      findings.add(path, message, { severity: 'warning' })
    }
  }
  const linkedPolicies = new Set(document.links.flatMap(({ policies }) => policies))
  for (const name of Object.keys(document.policies)) {
    if (linkedPolicies.has(name)) continue
    findings.add(['policies', name], `no link uses policy "${name}"`, {
      severity: 'warning',
      atKey: true,
    })
  }
}

function selectorsOf(link: LinkDocument): readonly (readonly [string, SelectorText])[] {
  switch (link.shape) {
    case 'star':
      return [
        ['center', link.center],
        ['leaves', link.leaves],
      ]
    case 'tree':
      return [
        ['parent', link.parent],
        ['children', link.children],
      ]
    case 'mesh':
    case 'ring':
      return [['members', link.members]]
    case 'explicit':
      return [
        ['from', link.from],
        ['to', link.to],
      ]
  }
}

/** Lints: what is allowed and probably not meant. Each has a name, with which findings end and in-file tests ask for it. */
import { type FindingOptions, type Findings, type Path, suggestion } from './findings.ts'
import { mayMeet } from './glob.ts'
import { selectorsOf } from './link-ends.ts'
import { lintNodes } from './lint-nodes.ts'
import { lintTimes } from './lint-times.ts'
import type { TopologyDocument } from './schema.ts'
import { isEmptyRange } from './semver-range.ts'
import type { Topology } from './topology.ts'

type Add = Pick<Findings, 'add'>

/** Of a file without errors. */
export function lint(document: TopologyDocument, topology: Topology, findings: Add): void {
  lintNodes(topology, findings)
  lintOrigins(document, findings)
  lintPolicies(document, findings)
  lintSelectors(document, topology, findings)
  lintTimes(document, topology, findings)
}

function lintOrigins({ origins }: TopologyDocument, findings: Add): void {
  for (const [at, { repos }] of origins.entries()) {
    const earlier = origins.slice(0, at).flatMap((origin) => origin.repos)
    if (!earlier.includes('**') && !repos.every((glob) => earlier.includes(glob))) continue
    const message = 'never holds: earlier entries match all of it, and the first match holds'
    findings.add(['origins', at, 'repos'], message, {
      severity: 'warning',
      lint: 'shadowed-origin',
    })
  }
}

function lintPolicies({ origins, policies, links }: TopologyDocument, findings: Add): void {
  const writable = origins.flatMap(({ repos }) => repos)
  const options: FindingOptions = { severity: 'warning', lint: 'matches-nothing' }
  for (const [name, { match }] of Object.entries(policies)) {
    const path = ['policies', name, 'match']
    for (const [number, glob] of match.repos.entries()) {
      if (writable.some((other) => mayMeet(glob, other))) continue
      const message = `nobody may write a repository like "${glob}": no entry of origins matches one`
      findings.add([...path, 'repos', number], message, options)
    }
    const { semver, include, exclude } = match.tags
    if (include.length === 0) {
      findings.add([...path, 'tags', 'include'], 'an empty list lets no tag through', options)
    }
    if (exclude.includes('*')) {
      findings.add([...path, 'tags', 'exclude'], '"*" leaves every tag out', options)
    }
    if (semver !== undefined && isEmptyRange(semver)) {
      findings.add([...path, 'tags', 'semver'], `no version is within "${semver}"`, options)
    }
  }

  const used = new Set(links.flatMap((link) => link.policies))
  // What a used one extends is used; a set may grow while it is walked.
  for (const name of used) {
    const base = Object.hasOwn(policies, name) ? policies[name]?.extends : undefined
    if (base !== undefined) used.add(base)
  }
  for (const name of Object.keys(policies)) {
    if (used.has(name)) continue
    findings.add(['policies', name], `no link uses policy "${name}"`, {
      severity: 'warning',
      atKey: true,
      lint: 'unused-policy',
    })
  }
}

/** Labels and values that no node has. Whoever selects nobody by them has an error already. */
export function lintSelectors(document: TopologyDocument, topology: Topology, findings: Add): void {
  const values = new Map<string, Set<string>>()
  for (const { labels, locality } of topology.nodes.values()) {
    for (const [key, value] of [...Object.entries(locality), ...Object.entries(labels)]) {
      values.set(key, (values.get(key) ?? new Set()).add(value))
    }
  }
  const selectors = [
    ...document.origins.map(({ writers }, at) => [['origins', at, 'writers'], writers] as const),
    ...document.links.flatMap((link, at) =>
      selectorsOf(link).map(([key, selector]) => [['links', at, key], selector] as const),
    ),
  ]
  for (const [path, selector] of selectors) {
    if (typeof selector === 'string' || Array.isArray(selector)) continue
    for (const [key, wanted] of Object.entries(selector)) {
      lintLabel(key, wanted, values, path, findings)
    }
  }
}

function lintLabel(
  key: string,
  wanted: string,
  values: ReadonlyMap<string, ReadonlySet<string>>,
  path: Path,
  findings: Add,
): void {
  const options: FindingOptions = { severity: 'warning', lint: 'unknown-label' }
  const known = values.get(key)
  if (known === undefined) {
    const message = `no node has a label or locality "${key}"${suggestion(key, values.keys())}`
    findings.add([...path, key], message, { ...options, atKey: true })
    return
  }
  const value = wanted.replace(/^!/, '')
  if (known.has(value)) return
  const message = `no node has the value "${value}" of "${key}"${suggestion(value, known)}`
  findings.add([...path, key], message, options)
}

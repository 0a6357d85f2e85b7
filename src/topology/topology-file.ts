/** Reads a topology file: text -> Topology, or findings with line and column. */
import { type Document, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { messageOf } from '../lib/errors.ts'
import { compile } from './compile.ts'
import { crossCheck } from './cross-checks.ts'
import { createFindings, type Finding, type Findings, suggestion } from './findings.ts'
import { LATER_KEYS, LATER_VALUES } from './not-yet.ts'
import { at, readableParts } from './readable.ts'
import { TOPOLOGY_SCHEMA } from './schema.ts'
import type { Topology } from './topology.ts'

export interface TopologyReading {
  /** Absent when there is an error among the findings. */
  readonly topology?: Topology
  readonly findings: readonly Finding[]
}

/** Aliases that a file may expand to: more is a bomb. */
const MAX_ALIASES = 50
/** Errors of YAML itself that are told: one slip can cause thousands, and the first ones say it. */
const MAX_YAML_ERRORS = 20

export function readTopology(text: string): TopologyReading {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    version: '1.2',
    schema: 'core',
    stringKeys: true,
  })
  const findings = createFindings(document, lines)
  // A warning is a tag that nobody reads, as in `!secret x`: the author means something by it.
  const faults = [...document.errors, ...document.warnings]
  for (const { pos, message } of faults.slice(0, MAX_YAML_ERRORS)) {
    findings.addAt(pos[0], `YAML: ${inWords(message)}`)
  }
  if (faults.length > 0) return { findings: findings.list() }
  const value = toValue(document, findings)
  if (value === undefined) return { findings: findings.list() }

  const parse = TOPOLOGY_SCHEMA.safeParse(value)
  if (!parse.success) {
    for (const issue of parse.error.issues) describe(issue, value, findings)
    // The rest of the file is worth looking at too. Warnings wait: what is missing may be what was misspelt.
    const rest = readableParts(value, parse.error.issues)
    crossCheck(rest.document, compile(rest.document), {
      add: (path, message, options) => {
        if (options?.severity !== 'warning') findings.add(rest.placeOf(path), message, options)
      },
    })
    return { findings: findings.list() }
  }
  const topology = compile(parse.data)
  crossCheck(parse.data, topology, findings)
  const list = findings.list()
  return list.some(({ severity }) => severity === 'error')
    ? { findings: list }
    : { topology, findings: list }
}

function toValue(document: Document, findings: Findings): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    if (value !== null && value !== undefined) {
      // Throws where an alias stands inside of what it names.
      JSON.stringify(value)
      return value
    }
    findings.addAt(0, 'the file is empty; expected apiVersion: entrepot/v1, kind: Topology, ...')
  } catch (err) {
    findings.addAt(0, `YAML: ${inWords(messageOf(err))}`)
  }
  return undefined
}

/** The parser recurses: it runs out of stack in a text of many brackets. */
function inWords(message: string): string {
  if (message.includes('circular structure')) return 'an alias stands inside of what it names'
  return message.includes('call stack') ? 'nested too deeply' : message
}

/** zod's issue in the words of the file. */
function describe(issue: z.core.$ZodIssue, value: unknown, findings: Findings): void {
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      const known = knownKeys(issue.path)
      findings.add([...issue.path, key], refusalOf(key, known), { atKey: true })
    }
    return
  }
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? issue.message
    const message = `${expected}; got "${String(issue.path.at(-1))}"`
    findings.add(issue.path, message, { atKey: true })
    return
  }
  const came = at(value, issue.path)
  const expected = issue.message
    .replace(/^Invalid input: /, '')
    .replace(/, received \w+$/, '')
    .replace(/^Invalid discriminator value. E/, 'e')
    .replace(/^Too small: /, '')
    .replace(/^expected (?:record|object)/, 'expected a map')
    .replace(/^expected array/, 'expected a list')
  if (LATER_VALUES.has(came)) {
    findings.add(issue.path, `"${String(came)}" is not yet in this version`)
    return
  }
  if (came === undefined) {
    const name = String(issue.path.at(-1) ?? '')
    findings.add(issue.path, `"${name}" is missing: ${expected}`)
    return
  }
  const text = JSON.stringify(came)
  findings.add(
    issue.path,
    `${expected}; got ${text.length > 60 ? `${text.slice(0, 57)}...` : text}`,
  )
}

function refusalOf(key: string, known: readonly string[]): string {
  if (LATER_KEYS.has(key)) return `"${key}" is not yet in this version`
  // As `members` in a star: a word of the section, of another entry.
  if (known.includes(key)) return `"${key}" does not belong here`
  return `unknown key "${key}"${suggestion(key, known)}`
}

/** Keys that the schema knows at a place: walked by name, as far as it goes. */
function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  return (
    KEYS[path.filter((part) => typeof part === 'string').length === 0 ? '' : String(path[0])] ?? []
  )
}

/** Keys per section, for suggestions only. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  '': ['apiVersion', 'kind', 'metadata', 'nodes', 'origins', 'policies', 'links'],
  metadata: ['name', 'generation'],
  nodes: [
    'locality',
    'labels',
    'endpoint',
    'mesh',
    'peerId',
    'formerPeerIds',
    'region',
    'zone',
    'site',
    'until',
  ],
  origins: ['repos', 'writers', 'elsewhere', 'conflict', 'tags', 'resolve', 'keep'],
  policies: ['match', 'mode', 'untagged', 'repos', 'tags', 'include', 'exclude'],
  links: [
    'shape',
    'center',
    'leaves',
    'flow',
    'parent',
    'children',
    'match',
    'members',
    'policies',
  ],
}

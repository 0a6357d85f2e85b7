/** Reads a topology file: text -> Topology, or findings with line and column. */
import { type Document, LineCounter, parseDocument } from 'yaml'
import { messageOf } from '../lib/errors.ts'
import { compile } from './compile.ts'
import { crossCheck } from './cross-checks.ts'
import { resolveExtends } from './extends.ts'
import { createFindings, type Finding, type Findings } from './findings.ts'
import { tellIssue } from './issue-text.ts'
import { lint, lintSelectors } from './lints.ts'
import { readableParts } from './readable.ts'
import { TOPOLOGY_SCHEMA } from './schema.ts'
import type { Topology } from './topology.ts'
import { tellYamlFaults, yamlWords } from './yaml-faults.ts'

export interface TopologyReading {
  /** Absent when there is an error among the findings. */
  readonly topology?: Topology
  readonly findings: readonly Finding[]
}

/** Aliases that a file may expand to: more is a bomb. */
const MAX_ALIASES = 50

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
  if (!tellYamlFaults(document, lines, findings)) return { findings: findings.list() }
  const value = toValue(document, findings)
  if (value === undefined) return { findings: findings.list() }

  const extended = resolveExtends(value, findings)
  const own: Pick<Findings, 'add'> = {
    add: (path, message, options) => {
      if (!extended.isInherited(path)) findings.add(path, message, options)
    },
  }
  const parse = TOPOLOGY_SCHEMA.safeParse(extended.value)
  if (parse.success) {
    const topology = compile(parse.data)
    crossCheck(parse.data, topology, own)
    if (findings.list().every(({ severity }) => severity !== 'error')) {
      lint(parse.data, topology, own)
      return { topology, findings: findings.list() }
    }
    // Of the lints only what says why a selector selects nobody: a node that nothing reaches may be what was misspelt.
    lintSelectors(parse.data, topology, own)
    return { findings: findings.list() }
  }
  for (const issue of parse.error.issues) tellIssue(issue, extended.value, own)
  // The rest of the file is worth looking at too. Lints wait: what is missing may be what was misspelt.
  const rest = readableParts(extended.value, parse.error.issues)
  crossCheck(rest.document, compile(rest.document), {
    add: (path, message, options) => {
      if (!rest.isDoubtful(path)) own.add(rest.placeOf(path), message, options)
    },
  })
  return { findings: findings.list() }
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
    findings.addAt(0, `YAML: ${yamlWords(messageOf(err))}`)
  }
  return undefined
}

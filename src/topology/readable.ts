/** What can be read of a file that the schema refused, so that one mistake does not hide the others. */
import type { z } from 'zod'
import type { Path } from './findings.ts'
import { LINK } from './link-schema.ts'
import { NODE } from './node-schema.ts'
import { ORIGIN } from './origin-schema.ts'
import { POLICY } from './policy-schema.ts'
import type { TopologyDocument } from './schema.ts'
import { TEST } from './test-schema.ts'

export interface ReadableParts {
  readonly document: TopologyDocument
  /** A path in `document` -> the path in the file: list entries that nobody can read are left out. */
  placeOf(path: Path): Path
  /** Whether what there is to say of a path in `document` hangs on what the schema refused: it is not all that was written. */
  isDoubtful(path: Path): boolean
}

/** Stand-ins keep the names of nodes and policies known, whatever is wrong inside. */
const SOME_NODE = NODE.parse({})
const SOME_POLICY = POLICY.parse({ match: { repos: ['**'] }, mode: 'eager' })

export function readableParts(value: unknown, issues: readonly z.core.$ZodIssue[]): ReadableParts {
  const rest = withoutFaults(value, issues)
  const origins = listed(ORIGIN, at(rest, ['origins']))
  const links = listed(LINK, at(rest, ['links']))
  const tests = listed(TEST, at(rest, ['tests']))
  const places: Readonly<Record<string, readonly number[]>> = {
    origins: origins.map(([place]) => place),
    links: links.map(([place]) => place),
    tests: tests.map(([place]) => place),
  }
  const refused = new Set(
    issues.map(({ path: [section, name] }) => `${String(section)} ${String(name)}`),
  )
  return {
    document: {
      apiVersion: 'entrepot/v1',
      kind: 'Topology',
      metadata: { name: '-', generation: 1 },
      nodes: named(NODE, at(rest, ['nodes']), SOME_NODE),
      origins: origins.map(([, origin]) => origin),
      policies: named(POLICY, at(rest, ['policies']), SOME_POLICY),
      links: links.map(([, link]) => link),
      tests: tests.map(([, test]) => test),
    },
    placeOf: ([section, entry, ...inside]) => {
      if (section === undefined || entry === undefined)
        return section === undefined ? [] : [section]
      const place = typeof entry === 'number' ? places[String(section)]?.[entry] : undefined
      return [section, place ?? entry, ...inside]
    },
    isDoubtful: ([section, name, key]) =>
      (section === 'policies' && refused.has(`policies ${String(name)}`)) ||
      // What it promises may be what was misspelt.
      (section === 'tests' &&
        key === undefined &&
        refused.has(`tests ${places.tests?.[Number(name)]}`)) ||
      // Without the section nobody is known, and that it is missing has been said.
      (section === 'links' && key === 'policies' && !isMap(at(rest, ['policies']))) ||
      !isMap(at(rest, ['nodes'])),
  }
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function named<T>(schema: z.ZodType<T>, section: unknown, standIn: T): Record<string, T> {
  if (typeof section !== 'object' || section === null) return {}
  return Object.fromEntries(
    Object.entries(section).map(([name, entry]) => [name, schema.safeParse(entry).data ?? standIn]),
  )
}

function listed<T>(schema: z.ZodType<T>, section: unknown): readonly (readonly [number, T])[] {
  if (!Array.isArray(section)) return []
  return section.flatMap((entry: unknown, place) => {
    const { data } = schema.safeParse(entry)
    return data === undefined ? [] : [[place, data] as const]
  })
}

/** A copy without the keys and values that the schema refused; a name that it refused is a name all the same. */
function withoutFaults(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(value)
  for (const issue of issues) {
    if (issue.code === 'invalid_key') continue
    // A whole entry stays: its own schema refuses it again, and a stand-in may take its place.
    if (issue.code !== 'unrecognized_keys' && issue.path.length <= 2) continue
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : []
    const paths = keys.length > 0 ? keys.map((key) => [...issue.path, key]) : [issue.path]
    for (const path of paths) {
      const parent = at(copy, path.slice(0, -1))
      const key = path.at(-1)
      if (typeof parent === 'object' && parent !== null && key !== undefined) {
        Reflect.deleteProperty(parent, key)
      }
    }
  }
  return copy
}

/** The part of a value at a path; undefined when there is none. */
export function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === 'object' && part !== null && Object.hasOwn(part, key)
        ? (part as Record<PropertyKey, unknown>)[key]
        : undefined,
    value,
  )
}

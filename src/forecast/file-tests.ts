/** In-file tests: whether a topology keeps what its own file promises, by the declared links alone, and why or why not. */
import { parseRepositoryName } from '../oci/name.ts'
import type { Finding } from '../topology/findings.ts'
import type { TestDocument } from '../topology/schema.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { pathLines } from './path-test.ts'
import { pullLines } from './pull-test.ts'
import { pushEnd } from './pushes.ts'
import { reachLines } from './reach-test.ts'
import type { TestLine } from './test-line.ts'

export interface TestResult {
  readonly name: string
  readonly ok: boolean
  /** Of what failed, or of all where nothing did: one line. */
  readonly reason: string
  readonly lines: readonly TestLine[]
}

export interface FileTestFacts {
  /** What the reading of the file found, lints among it. */
  readonly lints: readonly Finding[]
}

/** In the order of the file. */
export function runFileTests(topology: Topology, facts: FileTestFacts): readonly TestResult[] {
  return topology.tests.map((test) => {
    const lines = linesOf(topology, test, facts)
    const failed = lines.filter(({ ok }) => !ok)
    const told = failed.length > 0 ? failed : lines
    const reason = told.map(({ text }) => text).join('; ')
    return { name: test.name, ok: failed.length === 0, reason, lines }
  })
}

function linesOf(
  topology: Topology,
  test: TestDocument,
  { lints }: FileTestFacts,
): readonly TestLine[] {
  if ('from' in test) return reachLines(topology, test)
  if ('pull' in test) return pullLines(topology, test)
  if ('path' in test) return pathLines(topology, test)
  if ('push' in test) return [pushLine(topology, test)]
  const found = lints.filter(({ lint }) => lint === test.lint)
  if (found.length === 0) return [{ ok: true, text: `${test.lint}: clean` }]
  return found.map(({ line, message }) => ({
    ok: false,
    text: `expected ${test.lint} to be clean, line ${line}: ${message}`,
  }))
}

function pushLine(
  topology: Topology,
  { push: { node, repo }, expect }: Extract<TestDocument, { push: unknown }>,
): TestLine {
  const repository = parseRepositoryName(repo)
  if (repository === undefined) {
    return { ok: false, text: `expected the name of a repository under push.repo; got ${repo}` }
  }
  const end = pushEnd(topology, node as NodeName, repository)
  const why = {
    accepted: () => `${node} may write it`,
    rejected: () =>
      end.kind === 'rejected' && end.writers.length > 0
        ? `only ${end.writers.join(', ')} may write it, and origins say elsewhere: reject`
        : 'no entry of origins matches it',
    redirected: () => `to ${end.kind === 'redirected' ? end.at : ''}`,
    proxied: () => `to ${end.kind === 'proxied' ? end.at : ''}`,
  }[end.kind]()
  const ok = end.kind === expect
  const what = `${node}: a push to ${repository}`
  const text = ok
    ? `${what} is ${end.kind}: ${why}`
    : `${what}: expected ${expect}, is ${end.kind}: ${why}`
  return { ok, text }
}

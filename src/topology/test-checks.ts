/** What a schema cannot see of in-file tests: nodes that nobody knows, and tests that promise nothing. */
import { type Findings, type Path, suggestion } from './findings.ts'
import type { TestDocument } from './schema.ts'

export function checkTests(
  tests: readonly TestDocument[],
  nodes: ReadonlySet<string>,
  findings: Pick<Findings, 'add'>,
): void {
  for (const [number, test] of tests.entries()) {
    for (const [path, name] of namesIn(test)) {
      if (nodes.has(name)) continue
      findings.add(['tests', number, ...path], `unknown node "${name}"${suggestion(name, nodes)}`)
    }
    if (!('from' in test)) continue
    const { present, available, notPresent, absent, maxHops, within } = test
    if (within !== undefined && present === undefined) {
      const message = '"within" needs present: it says until when those nodes have it'
      findings.add(['tests', number, 'within'], message, { atKey: true })
    }
    if ([present, available, notPresent, absent, maxHops].every((one) => one === undefined)) {
      const message = 'promises nothing: add present, available, notPresent, absent or maxHops'
      findings.add(['tests', number], message)
    }
  }
}

/** The nodes that a test names, each with its place in it. */
function namesIn(test: TestDocument): readonly (readonly [Path, string])[] {
  const listed = (key: string, names: readonly string[] = []) =>
    names.map((name, at) => [[key, at], name] as const)
  if ('push' in test) return [[['push', 'node'], test.push.node]]
  if ('pull' in test) return [[['pull', 'node'], test.pull.node], ...listed('down', test.down)]
  if ('lint' in test) return []
  if ('path' in test) {
    const { from, to } = test.path
    return [[['path', 'from'], from], [['path', 'to'], to], ...listed('via', test.via)]
  }
  return [
    [['from'], test.from],
    ...(['present', 'available', 'notPresent', 'absent', 'down'] as const).flatMap((key) =>
      listed(key, test[key]),
    ),
  ]
}

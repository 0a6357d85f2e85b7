/** `entrepot topology check` and `test`: every finding with its place, and what the file promises, each with the reason. */
import type { Command } from 'commander'
import { runFileTests, type TestResult } from '../forecast/file-tests.ts'
import { counted } from '../lib/counted.ts'
import type { Finding } from '../topology/findings.ts'
import { linkNumber } from '../topology/links.ts'
import type { Topology } from '../topology/topology.ts'
import type { TopologyReading } from '../topology/topology-file.ts'
import { print, printJson } from './output.ts'

/** @throws TOPOLOGY_UNREADABLE */
export type ReadFile = (file: string) => Promise<TopologyReading>

interface Flags {
  readonly json?: boolean
}

export function addCheckCommands(topology: Command, read: ReadFile): void {
  topology
    .command('check')
    .description(
      'print every finding with line and column, and the tests in the file that fail; exit code 0 good, 1 errors, 2 usage',
    )
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'print findings and tests as JSON')
    .action(async (file: string, { json }: Flags) => {
      const { topology: good, findings } = await read(file)
      const tests = good === undefined ? [] : runFileTests(good, { lints: findings })
      if (json === true) printJson({ file, findings, tests })
      else {
        for (const finding of findings) print(findingText(file, finding))
        const failed = tests.filter(({ ok }) => !ok)
        for (const one of failed) print(testText(one))
        if (good !== undefined) print(summary(file, good, tests))
      }
      if (!isGood(good, tests)) process.exitCode = 1
    })
  topology
    .command('test')
    .description(
      'print each promise of the file with its reason; exit code 0 all kept, 1 not, 2 usage',
    )
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'print the tests as JSON')
    .action(async (file: string, { json }: Flags) => {
      const { topology: good, findings } = await read(file)
      const tests = good === undefined ? [] : runFileTests(good, { lints: findings })
      if (json === true) printJson({ file, tests })
      else if (good === undefined) {
        for (const finding of findings) print(findingText(file, finding))
      } else print([...tests.map(testText), countText(tests)].join('\n'))
      if (!isGood(good, tests)) process.exitCode = 1
    })
}

export function findingText(
  file: string,
  { line, column, severity, path, message }: Finding,
): string {
  return `${file}:${line}:${column}: ${severity}: ${path === '' ? '' : `${path}: `}${message}`
}

/** The name, and below it each assertion; of a test that fails the ones that do. */
export function testText({ name, ok, lines }: TestResult): string {
  const shown = ok ? lines : lines.filter((line) => !line.ok)
  return [`${ok ? 'ok  ' : 'FAIL'}  ${name}`, ...shown.map(({ text }) => `        ${text}`)].join(
    '\n',
  )
}

/** `7 tests: 6 good, 1 failed` */
export function countText(tests: readonly TestResult[]): string {
  if (tests.length === 0) return 'no tests in the file'
  const failed = tests.filter(({ ok }) => !ok).length
  const count = counted(tests.length, 'test')
  return failed === 0
    ? `${count}, all good`
    : `${count}: ${tests.length - failed} good, ${failed} failed`
}

function isGood(topology: Topology | undefined, tests: readonly TestResult[]): boolean {
  return topology !== undefined && tests.every(({ ok }) => ok)
}

function summary(file: string, topology: Topology, tests: readonly TestResult[]): string {
  const { realm, generation, nodes, groups } = topology
  const links = new Set(groups.map(linkNumber)).size
  const verdict = isGood(topology, tests) ? 'good' : 'its own tests fail'
  return `${file}: ${verdict}. Realm ${realm}, generation ${generation}, ${counted(nodes.size, 'node')}, ${counted(links, 'link')}, ${countText(tests)}`
}

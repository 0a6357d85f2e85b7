/** `entrepot topology`: `check`, every finding with its place, and `simulate`. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Finding } from '../topology/findings.ts'
import type { Topology } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import { print, printJson } from './output.ts'
import { addSimulateCommand } from './topology-simulate.ts'

export function addTopologyCommands(program: Command): void {
  const topology = program.command('topology').description('look at topology files')
  topology
    .command('check')
    .description('print every finding with line and column; exit code 0 good, 1 errors, 2 usage')
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'print the findings as JSON')
    .action(async (file: string, options: { json?: boolean }) => {
      const { topology: read, findings } = readTopology(await readText(file))
      if (options.json === true) printJson({ file, findings })
      else {
        for (const finding of findings) print(findingText(file, finding))
        if (read !== undefined) print(summary(file, read))
      }
      if (read === undefined) process.exitCode = 1
    })
  addSimulateCommand(topology, loadTopology)
}

/** @throws TOPOLOGY_INVALID with every error, TOPOLOGY_UNREADABLE */
export async function loadTopology(file: string): Promise<{ topology: Topology; text: string }> {
  const text = await readText(file)
  const { topology, findings } = readTopology(text)
  if (topology !== undefined) return { topology, text }
  const errors = findings.filter(({ severity }) => severity === 'error')
  const lines = errors.map((finding) => `\n  ${findingText(file, finding)}`)
  throw new EntrepotError('TOPOLOGY_INVALID', `the topology is not valid:${lines.join('')}`)
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new EntrepotError('TOPOLOGY_UNREADABLE', `cannot read ${file}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

function findingText(file: string, { line, column, severity, path, message }: Finding): string {
  return `${file}:${line}:${column}: ${severity}: ${path === '' ? '' : `${path}: `}${message}`
}

function summary(file: string, { realm, generation, nodes, groups }: Topology): string {
  return `${file}: good. Realm ${realm}, generation ${generation}, ${nodes.size} nodes, ${groups.length} link groups`
}

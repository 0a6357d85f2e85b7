/** `entrepot topology`: what can be done with topology files, each in a file of its own; and how they are read. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Finding } from '../topology/findings.ts'
import type { Topology } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import { addApplyCommand } from './topology-apply.ts'
import { addCheckCommands, findingText } from './topology-check.ts'
import { addGraphCommand } from './topology-graph.ts'
import { addPlanCommand } from './topology-plan.ts'
import { addSchemaCommand } from './topology-schema.ts'
import { addSimulateCommand } from './topology-simulate.ts'

export function addTopologyCommands(program: Command): void {
  const topology = program.command('topology').description('look at topology files')
  const read = async (file: string) => readTopology(await readText(file))
  addCheckCommands(topology, read)
  addGraphCommand(topology, loadTopology)
  addPlanCommand(topology, loadTopology)
  addSchemaCommand(topology)
  addSimulateCommand(topology, loadTopology)
  addApplyCommand(topology, loadTopology)
}

interface LoadedTopology {
  readonly topology: Topology
  readonly text: string
  /** Warnings and notes. */
  readonly findings: readonly Finding[]
}

/** @throws TOPOLOGY_INVALID with every error, TOPOLOGY_UNREADABLE */
export async function loadTopology(file: string): Promise<LoadedTopology> {
  const text = await readText(file)
  const { topology, findings } = readTopology(text)
  if (topology !== undefined) return { topology, text, findings }
  const errors = findings.filter(({ severity }) => severity === 'error')
  const lines = errors.map((finding) => `\n  ${findingText(file, finding)}`)
  throw new EntrepotError('TOPOLOGY_INVALID', `the topology is not valid:${lines.join('')}`)
}

async function readText(file: string): Promise<string> {
  const unreadable = (why: string, cause: unknown) =>
    new EntrepotError('TOPOLOGY_UNREADABLE', `cannot read ${file}: ${why}`, { cause })
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw unreadable(messageOf(cause), cause)
  })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw unreadable('expected text in UTF-8; save it as such', cause)
  }
}

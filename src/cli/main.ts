#!/usr/bin/env node
/** The command line: picks a command; every failure is one readable message and an exit code (1 failed, 2 usage). */
import { Command, CommanderError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { addIdentityCommands } from './identity.ts'
import { addInspectCommands } from './inspect.ts'
import { failureText } from './output.ts'
import { addServeCommand } from './serve.ts'
import { addTopologyCommands } from './topology.ts'
import { addUpCommand } from './up.ts'

/** Node.js runs the `.ts` files as they are since then. */
const OLDEST_NODE = 24

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new Error(
      `Node.js ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}; run it through npm (npx entrepot ...), which brings the right one`,
    )
  }
  const program = new Command('entrepot')
    .description('A mesh of container registries that behaves as one.')
    .version(packageJson.version)
    .exitOverride()
    .showHelpAfterError('(--help says more)')
  addUpCommand(program)
  addServeCommand(program)
  addIdentityCommands(program)
  addTopologyCommands(program)
  addInspectCommands(program)
  await program.parseAsync()
}

try {
  await main()
} catch (err) {
  if (err instanceof CommanderError) {
    // Help and version are no failures; usage is told by commander itself.
    process.exitCode = err.exitCode === 0 ? 0 : 2
  } else {
    process.stderr.write(`entrepot: ${failureText(err)}\n`)
    process.exitCode ||= 1
  }
}

/** The command line: picks a command; every failure is one readable message and an exit code (1 failed, 2 usage). */
import { Command, CommanderError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { codeOf } from '../lib/errors.ts'
import { addAdoptCommand } from './adopt.ts'
import { addConvergedCommand } from './converged.ts'
import { addDeletesCommand } from './deletes.ts'
import { addGcCommand } from './gc.ts'
import { addIdentityCommands } from './identity.ts'
import { addInspectCommands } from './inspect.ts'
import { addJobsCommands } from './jobs.ts'
import { failureText } from './output.ts'
import { addPullCommand } from './pull.ts'
import { addServeCommand } from './serve.ts'
import { addTopologyCommands } from './topology.ts'
import { addUpCommand } from './up.ts'
import { addVerifyCommand } from './verify.ts'
import { addWhyCommand } from './why.ts'

const [FAILED, USAGE] = [1, 2]
/** The words of the command are wrong, or name a file that is not there. */
const USAGE_CODES = ['CONFIG_INVALID', 'TOPOLOGY_UNREADABLE', 'DATA_MISSING']

/** All commands. What they throw is a failure that has not been told. */
export function createProgram(): Command {
  const program = new Command('entrepot')
    .description('A mesh of container registries that behaves as one.')
    .version(packageJson.version)
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .addHelpText('afterAll', '\nExit code: 0 good, 1 failed or the answer is no, 2 wrong usage.')
  addUpCommand(program)
  addServeCommand(program)
  addIdentityCommands(program)
  addTopologyCommands(program)
  addInspectCommands(program)
  addJobsCommands(program)
  addWhyCommand(program)
  addDeletesCommand(program)
  addPullCommand(program)
  addConvergedCommand(program)
  addGcCommand(program)
  addAdoptCommand(program)
  addVerifyCommand(program)
  return program
}

/** Runs the command that the words ask for. @returns the exit code */
export async function runProgram(words: readonly string[]): Promise<number> {
  // Whoever reads us may stop early, as `head` does: that is no failure.
  process.stdout.on('error', (err) => {
    if (codeOf(err) === 'EPIPE') process.exit()
    throw err
  })
  try {
    await createProgram().parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (err) {
    // Help and version are no failures; usage is told by commander itself.
    if (err instanceof CommanderError) return err.exitCode === 0 ? 0 : USAGE
    process.stderr.write(`entrepot: ${failureText(err)}\n`)
    return USAGE_CODES.includes(codeOf(err) ?? '') ? USAGE : FAILED
  }
}

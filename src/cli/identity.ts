/** `entrepot identity new|show`: the key of a node, and the peer id that the topology needs. */
import { type Command, Option } from 'commander'
import { EntrepotError } from '../lib/errors.ts'
import { identityPath, loadIdentity, loadOrCreateIdentity } from '../node/identity-file.ts'
import { dataOption } from './node-command.ts'
import { print, printJson } from './output.ts'

interface Options {
  readonly data?: string
  readonly identity?: string
  readonly json?: boolean
}

export function addIdentityCommands(program: Command): void {
  const identity = program.command('identity').description("a node's key and peer id")
  const add = (name: string, description: string, load: typeof loadIdentity) =>
    identity
      .command(name)
      .description(description)
      .addOption(dataOption('data directory of the node'))
      .addOption(
        new Option('--identity <file>', 'key file (default: in the data directory)').env(
          'ENTREPOT_IDENTITY',
        ),
      )
      .option('--json', 'print the peer id and the key file as JSON')
      .action(async ({ data, identity: file, json }: Options) => {
        const path = file ?? (data === undefined ? undefined : identityPath(data))
        if (path === undefined)
          throw new EntrepotError('CONFIG_INVALID', '--data DIR or --identity FILE is needed')
        const { peerId } = await load(path)
        if (json === true) printJson({ peerId, file: path })
        else print(peerId)
      })
  add('new', 'make a key where there is none; print the peer id', loadOrCreateIdentity)
  add('show', 'print the peer id', loadIdentity)
}

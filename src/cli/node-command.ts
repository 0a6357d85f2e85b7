/** What commands that ask a running node, or look at its directory, have in common. */
import { type Command, Option } from 'commander'

export interface NodeOptions {
  readonly url: string
  readonly tlsCa?: string
  readonly json?: boolean
}

/** Where a node's content is, of commands that look at a directory. */
export function dataOption(description: string): Option {
  return new Option('--data <dir>', description).env('ENTREPOT_DATA')
}

/** A command with `--url`, `--tls-ca` and `--json`. */
export function nodeCommand(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .addOption(
      new Option('--url <url>', 'registry address of the node')
        .env('ENTREPOT_URL')
        .default('http://127.0.0.1:5000'),
    )
    .addOption(
      new Option('--tls-ca <file>', 'authority of its certificate, PEM').env('ENTREPOT_TLS_CA'),
    )
    .option('--json', 'print the answer as JSON')
}

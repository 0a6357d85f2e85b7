/** `entrepot topology schema`: the language as JSON Schema, for editors. */
import type { Command } from 'commander'
import { topologyJsonSchema } from '../topology/json-schema.ts'
import { printJson } from './output.ts'

export function addSchemaCommand(topology: Command): void {
  topology
    .command('schema')
    .description('print the JSON Schema of topology files, for editors that complete and check')
    .action(() => {
      printJson(topologyJsonSchema())
    })
}

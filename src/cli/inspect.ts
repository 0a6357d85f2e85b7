/** `entrepot status|records`: what a running node says of itself. */
import type { Command } from 'commander'
import type { RecordsView, StatusView } from '../admin/views.ts'
import { systemClock } from '../lib/clock.ts'
import { parseImage } from './image-name.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'
import { recordsText } from './records-text.ts'
import { statusText } from './status-text.ts'

export function addInspectCommands(program: Command): void {
  nodeCommand(program, 'status', 'the node, its neighbours and what it is doing').action(
    async ({ url, tlsCa, json }: NodeOptions) => {
      const status = await askNode<StatusView>(url, '/api/v1/status', { tlsCa })
      if (json === true) printJson(status)
      else print(statusText(status, systemClock.now()))
    },
  )

  nodeCommand(
    program,
    'records',
    'what the node knows, holds and plans for REPOSITORY or REPOSITORY:TAG',
  )
    .argument('<image>', 'REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST')
    .action(async (image: string, { url, tlsCa, json }: NodeOptions) => {
      const { repository, reference } = parseImage(image)
      const query = new URLSearchParams({
        repository,
        ...(reference === undefined ? {} : { reference }),
      })
      const path = `/api/v1/records?${query.toString()}`
      const { records } = await askNode<{ readonly records: readonly RecordsView[] }>(url, path, {
        tlsCa,
      })
      if (json === true) printJson(records)
      else
        print(
          records.length === 0
            ? `the node knows nothing of ${image}`
            : records.map(recordsText).join('\n\n'),
        )
      if (records.length === 0) process.exitCode = 1
    })
}

/** `entrepot status|records`: what a running node says of itself. */
import type { Command } from 'commander'
import type { RecordsView, StatusView } from '../admin/views.ts'
import { systemClock } from '../lib/clock.ts'
import { parseImage } from './image-name.ts'
import { askNode, askPages } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'
import { recordsText } from './records-text.ts'
import { statusText } from './status-text.ts'

/** Rows in one answer, the most that there are. */
const PAGE = '1000'

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
        n: PAGE,
        repository,
        ...(reference === undefined ? {} : { reference }),
      })
      const path = `/api/v1/records?${query.toString()}`
      const rowsOf = (page: { readonly records: readonly RecordsView[] }) => page.records
      const records = (await askPages(url, path, rowsOf, { tlsCa })) as readonly RecordsView[]
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

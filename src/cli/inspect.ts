/** `entrepot status|records`: what a running node says of itself. */
import type { Command } from 'commander'
import type { RecordsView, StatusView } from '../admin/views.ts'
import { parseImage } from './image-name.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson, table } from './output.ts'
import { recordsText } from './records-text.ts'

export function addInspectCommands(program: Command): void {
  nodeCommand(program, 'status', 'the node, its neighbours and what it is doing').action(
    async ({ url, tlsCa, json }: NodeOptions) => {
      const status = await askNode<StatusView>(url, '/api/v1/status', { tlsCa })
      if (json === true) printJson(status)
      else print(statusText(status))
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

/** Nothing where two clocks agree as well as NTP lets them. */
function clockText(offsetMs: number | undefined): string {
  const seconds = Math.round((offsetMs ?? 0) / 1_000)
  if (seconds === 0) return ''
  return `clock ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`
}

function statusText(status: StatusView): string {
  const jobs = Object.entries(status.jobs).map(([state, count]) => `${count} ${state}`)
  const head = table([
    ['node', `${status.node} of realm ${status.realm}, entrepot ${status.version}`],
    ['state', status.isReady ? 'ready' : 'starting'],
    ...(status.time.refusal === undefined ? [] : [['signs nothing', status.time.refusal]]),
    ['peer id', status.peerId],
    ['topology', `generation ${status.generation}, ${status.topologyHash.slice(0, 12)}`],
    ['feed', `${status.feed.head} changes`],
    ['jobs', jobs.length === 0 ? 'none' : jobs.join(', ')],
    [
      'since start',
      Object.entries(status.counters)
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    ],
  ])
  const rows = status.neighbours.map((neighbour) => [
    `  ${neighbour.name}`,
    neighbour.state,
    `since ${new Date(neighbour.sinceMs).toISOString()}`,
    neighbour.isSource ? 'source' : '',
    clockText(neighbour.clockOffsetMs),
    neighbour.differs === true ? 'RUNS ANOTHER TOPOLOGY' : '',
    neighbour.state === 'down' ? (neighbour.lastError ?? '') : '',
  ])
  return rows.length === 0 ? head : `${head}\nneighbours\n${table(rows)}`
}

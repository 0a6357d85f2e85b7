/** `entrepot status|records`: what a running node says of itself. */
import type { Command } from 'commander'
import type { RecordsView, StatusView } from '../admin/views.ts'
import { bytesText, rateText } from '../lib/bytes-text.ts'
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

/** Of the bytes that come from the neighbour. */
function limitText(bits: number | undefined): string {
  if (bits === undefined) return ''
  return bits === 0 ? 'closed at this time' : `at most ${rateText(bits)}/s`
}

/** Nothing where two clocks agree as well as NTP lets them. */
function clockText(offsetMs: number | undefined): string {
  const seconds = Math.round((offsetMs ?? 0) / 1_000)
  if (seconds === 0) return ''
  return `clock ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`
}

/** Of different generations the lower one follows; in one generation a person has to say which is meant. */
function differenceText(
  own: number,
  { differs, generation }: StatusView['neighbours'][number],
): string {
  if (differs !== true) return ''
  return generation === own ? 'RUNS ANOTHER TOPOLOGY' : `runs generation ${generation}`
}

function topologyText({ generation, topologyHash, topology }: StatusView): string {
  const signed = topology.isSigned ? 'signed by the owner' : 'of the topology file'
  return `runs generation ${generation}, ${signed}, ${topologyHash.slice(0, 12)}`
}

function rejectedText({
  generation,
  from,
  reason,
}: NonNullable<StatusView['topology']['rejected']>): string {
  const which = generation === undefined ? 'a topology' : `generation ${generation}`
  return `${which}, from ${from}: ${reason}`
}

function storageText({
  usedBytes,
  maxBytes,
  isOverfull,
}: NonNullable<StatusView['storage']>): string {
  const text = `${bytesText(usedBytes)} of ${bytesText(maxBytes)}`
  return isOverfull ? `${text}: too much, and none of it may go` : text
}

function statusText(status: StatusView): string {
  const { outside, rejected } = status.topology
  const jobs = Object.entries(status.jobs).map(([state, count]) => `${count} ${state}`)
  const head = table([
    ['node', `${status.node} of realm ${status.realm}, entrepot ${status.version}`],
    ['state', status.isReady ? 'ready' : 'starting'],
    ...(status.time.refusal === undefined ? [] : [['signs nothing', status.time.refusal]]),
    ['peer id', status.peerId],
    ['topology', topologyText(status)],
    ...(outside === undefined ? [] : [['outside', outside]]),
    ...(rejected === undefined ? [] : [['rejected', rejectedText(rejected)]]),
    ['feed', `${status.feed.head} changes`],
    ['jobs', jobs.length === 0 ? 'none' : jobs.join(', ')],
    ...(status.storage === undefined ? [] : [['storage', storageText(status.storage)]]),
    ...status.paused.map(({ scope, name, sinceMs }) => [
      'paused',
      `${name === undefined ? scope : `${scope} ${name}`} since ${new Date(sinceMs).toISOString()}`,
    ]),
    ...(status.heldUpDeletes ?? []).map(({ repository, deletes, tags }) => [
      'held up',
      `${deletes} deletes of the ${tags} tags of ${repository} wait for a person: entrepot deletes ${status.node}`,
    ]),
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
    limitText(neighbour.limit),
    clockText(neighbour.clockOffsetMs),
    differenceText(status.generation, neighbour),
    neighbour.state === 'down' ? (neighbour.lastError ?? '') : '',
  ])
  return rows.length === 0 ? head : `${head}\nneighbours\n${table(rows)}`
}

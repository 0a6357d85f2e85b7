/** `entrepot deletes NODE`: what was deleted at its origin and is still shown at a node, and a person's word that lets it go. */
import type { Command } from 'commander'
import type { ConfirmedView, DeletesView } from '../admin/deletes-view.ts'
import { systemClock } from '../lib/clock.ts'
import { counted } from '../lib/counted.ts'
import { durationText } from '../lib/duration.ts'
import { EntrepotError } from '../lib/errors.ts'
import { findMesh } from './mesh-nodes.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson, table } from './output.ts'

interface Options extends NodeOptions {
  readonly confirm?: string
}

/** A repository may have a hundred thousand tags, milliseconds. */
const TIMEOUT_MS = 60_000

export function addDeletesCommand(program: Command): void {
  nodeCommand(
    program,
    'deletes',
    'what was deleted at its origin and is still shown at a node, until when or why',
  )
    .argument('<node>', 'name of the node in the topology')
    .option(
      '--confirm <repository>',
      'let the deletes go that are known now; on the machine of the node',
    )
    .action(async (node: string, options: Options) => {
      const { tlsCa, json, confirm } = options
      const url = await endpointOf(node, options)
      if (confirm === undefined) {
        const asked = { tlsCa, timeoutMs: TIMEOUT_MS }
        const view = await askNode<DeletesView>(url, '/api/v1/deletes', asked)
        if (json === true) printJson(view)
        else print(deletesText(view))
        return
      }
      const path = `/api/v1/deletes/confirm?${new URLSearchParams({ repository: confirm }).toString()}`
      const asked = { method: 'POST', tlsCa, timeoutMs: TIMEOUT_MS } as const
      const view = await askNode<ConfirmedView>(url, path, asked)
      if (json === true) printJson(view)
      else
        print(
          `${node} lets ${counted(view.confirmed, 'delete')} of ${view.repository} go, each when its grace is over`,
        )
    })
}

/** @throws CONFIG_INVALID where there is no such node, or it has no endpoint */
async function endpointOf(node: string, options: NodeOptions): Promise<string> {
  const mesh = await findMesh(options)
  const url = mesh.endpointOf(node)
  if (url !== undefined) return url
  const { realm, nodes } = mesh.topology
  const known = nodes.filter(({ endpoint }) => endpoint !== undefined).map(({ name }) => name)
  const message = `no node ${node} with an endpoint in realm ${realm}; there are ${known.join(', ')}`
  throw new EntrepotError('CONFIG_INVALID', message)
}

function deletesText({ node, repositories }: DeletesView): string {
  if (repositories.length === 0) return `${node} shows nothing that was deleted and is to go here`
  const now = systemClock.now()
  const rows = repositories.flatMap(({ repository, deletes }) =>
    deletes.map(({ reference, deletedAtMs, dueAtMs, state, afterGrace }) => [
      `${repository}${reference.includes(':') ? '@' : ':'}${reference}`,
      new Date(deletedAtMs).toISOString(),
      whenText(state, dueAtMs - now, afterGrace),
    ]),
  )
  const leftOff = repositories.reduce((sum, one) => sum + one.leftOff, 0)
  const heldUp = repositories
    .filter(({ heldUp: waiting }) => waiting > 0)
    .map(
      ({ repository, tags, heldUp: waiting }) =>
        `${waiting} of the ${tags} tags of ${repository} wait for a person: entrepot deletes ${node} --confirm ${repository}`,
    )
  return [
    table([['IMAGE', 'DELETED', 'GOES'], ...rows]),
    ...(leftOff > 0 ? [`and ${leftOff} more`] : []),
    ...heldUp,
  ].join('\n')
}

type Delete = DeletesView['repositories'][number]['deletes'][number]

const STAYS = {
  'kept-last': 'stays, as of the newest tags',
  'with-image': 'stays, as its image does',
} as const

function whenText(
  state: Delete['state'],
  leftMs: number,
  afterGrace: Delete['afterGrace'],
): string {
  switch (state) {
    case 'in-grace': {
      const left = durationText(Math.max(0, leftMs))
      if (afterGrace === 'held-up') return `in ${left}, when a person confirms it`
      return afterGrace === undefined ? `in ${left}` : `${STAYS[afterGrace]}; else in ${left}`
    }
    case 'kept-last':
    case 'with-image':
      return STAYS[state]
    case 'held-up':
      return 'when a person confirms it'
    default:
      return 'now'
  }
}

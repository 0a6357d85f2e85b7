/** `entrepot why NODE IMAGE`: why an image is at a node or is not, in one sentence, then what it rests on. */
import type { Command } from 'commander'
import type { ConvergenceView } from '../admin/convergence-view.ts'
import type { WhyView } from '../admin/why-view.ts'
import { EntrepotError } from '../lib/errors.ts'
import { type ImageName, parseImage } from './image-name.ts'
import { type Answer, askAll, askOne, findMesh, isReached, type MeshNodes } from './mesh-nodes.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'

/** Verdicts with which there is nothing more to find out from the nodes before. */
const AT_REST: ReadonlySet<string> = new Set([
  'held',
  'adopted',
  'no-writer',
  'no-path',
  'filtered',
])

export function addWhyCommand(program: Command): void {
  nodeCommand(program, 'why', 'why an image is at a node, or is not')
    .argument('<node>', 'name of the node in the topology')
    .argument('<image>', 'REPOSITORY:TAG or REPOSITORY@DIGEST')
    .action(async (node: string, image: string, options: NodeOptions) => {
      const name = withReference(parseImage(image), image)
      const mesh = await findMesh(options)
      if (!mesh.topology.nodes.some((one) => one.name === node)) {
        const known = mesh.topology.nodes.map((one) => one.name).join(', ')
        const message = `no node ${node} in realm ${mesh.topology.realm}; there are ${known}`
        throw new EntrepotError('CONFIG_INVALID', message)
      }
      const answer = await askOne<WhyView>(mesh, node, pathOf(name), options)
      if (answer.kind === 'unreached') await tellUnreached(mesh, answer, name, options)
      else await tell(mesh, answer.view, name, options)
    })
}

function withReference({ repository, reference }: ImageName, image: string): Required<ImageName> {
  if (reference !== undefined) return { repository, reference }
  const message = `expected REPOSITORY:TAG or REPOSITORY@DIGEST, got ${image}`
  throw new EntrepotError('CONFIG_INVALID', message)
}

function pathOf(image: Required<ImageName>, on?: string): string {
  const query = { ...image, ...(on === undefined ? {} : { node: on }) }
  return `/api/v1/why?${new URLSearchParams(query).toString()}`
}

/** What the node says, and where it does not hold the image: what those on the way to it say. */
async function tell(
  mesh: MeshNodes,
  view: WhyView,
  image: Required<ImageName>,
  options: NodeOptions,
): Promise<void> {
  const before = AT_REST.has(view.verdict) ? [] : view.path.map(({ from }) => from)
  const way = await askAll<WhyView>(mesh, before, pathOf(image), options)
  if (options.json === true) {
    printJson({ ...view, way: way.map(wayJson) })
  } else {
    print([view.sentence, ...view.facts.map(indented), ...way.map(wayText)].join('\n'))
  }
  if (view.verdict !== 'held' && view.verdict !== 'adopted') process.exitCode = 1
}

/** What others know of a node that does not answer, and what it is to hold by the topology. */
async function tellUnreached(
  mesh: MeshNodes,
  { node, reason }: Answer<WhyView> & { readonly kind: 'unreached' },
  image: Required<ImageName>,
  options: NodeOptions,
): Promise<void> {
  process.exitCode = 1
  const others = mesh.topology.nodes.map(({ name }) => name).filter((name) => name !== node)
  const answers = await askAll<ConvergenceView>(mesh, others, '/api/v1/convergence', options)
  const known = answers.filter(isReached).flatMap(({ view }) => knownOf(node, view))
  const planned = await askOne<WhyView>(mesh, mesh.topology.node, pathOf(image, node), options)
  const plan = planned.kind === 'reached' ? planned.view : undefined
  if (options.json === true) {
    printJson({ node, ...image, verdict: 'unreached', reason, known, planned: plan })
    return
  }
  const name = `${image.repository}${image.reference.includes(':') ? '@' : ':'}${image.reference}`
  print(
    [
      `${node} cannot be asked about ${name}: ${reason}`,
      ...(plan === undefined ? [] : [indented(`topology: ${plan.sentence}`)]),
      ...known.map(({ text }) => indented(text)),
      ...(known.length === 0 ? [indented('no neighbour of it was reached')] : []),
    ].join('\n'),
  )
}

function knownOf(node: string, view: ConvergenceView) {
  const row = view.neighbours.find(({ name }) => name === node)
  if (row === undefined) return []
  const reader = view.readers.find((one) => one.node === node)
  const { head } = view.feed
  const since = new Date(row.sinceMs).toISOString()
  const error = row.lastError === undefined ? '' : ` (${row.lastError})`
  const reading =
    reader === undefined
      ? `it has read nothing of its feed since ${view.node} started`
      : `it had read its feed to ${reader.through} of ${head} at ${new Date(reader.atMs).toISOString()}`
  const text = `${view.node} says of ${node}: ${row.state} since ${since}${error}; ${reading}`
  return [{ from: view.node, state: row.state, sinceMs: row.sinceMs, reader, head, text }]
}

function wayJson(answer: Answer<WhyView>): object {
  if (answer.kind === 'unreached') return { node: answer.node, reason: answer.reason }
  const { node, verdict, sentence } = answer.view
  return { node, verdict, sentence }
}

function wayText(answer: Answer<WhyView>): string {
  if (answer.kind === 'unreached') return indented(`on the way: ${answer.node}: ${answer.reason}`)
  return indented(`on the way: ${answer.view.sentence}`)
}

function indented(line: string): string {
  return `  ${line}`
}

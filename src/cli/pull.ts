/** `entrepot pull NODE IMAGE`: has a node fetch an image now, whatever its policies would wait for. */
import type { Command } from 'commander'
import type { PullView } from '../admin/pull-routes.ts'
import type { WhyView } from '../admin/why-view.ts'
import { systemClock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import { parseImage } from './image-name.ts'
import { findMesh } from './mesh-nodes.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'
import { timeoutMsOf } from './timeout-option.ts'

interface PullOptions extends NodeOptions {
  readonly wait?: boolean
  readonly timeout: string
}

/** Between two looks, milliseconds. */
const LOOK_MS = 500
/** Verdicts with which it is still to come. */
const COMING: ReadonlySet<string> = new Set(['fetching', 'queued', 'waiting', 'settling'])

export function addPullCommand(program: Command): void {
  nodeCommand(program, 'pull', 'have a node fetch an image now; on the machine of the node')
    .argument('<node>', 'name of the node in the topology')
    .argument('<image>', 'REPOSITORY:TAG or REPOSITORY@DIGEST')
    .option('--wait', 'end when the node holds it, or cannot get it')
    .option('--timeout <time>', 'with --wait: give up after so long, e.g. 90s', '1h')
    .action(async (node: string, image: string, options: PullOptions) => {
      const { tlsCa, json, wait = false } = options
      const timeoutMs = timeoutMsOf(options.timeout)
      const { repository, reference } = parseImage(image)
      if (reference === undefined) {
        const message = `expected REPOSITORY:TAG or REPOSITORY@DIGEST, got ${image}`
        throw new EntrepotError('CONFIG_INVALID', message)
      }
      const mesh = await findMesh(options)
      const url = mesh.endpointOf(node)
      if (url === undefined) {
        const known = mesh.topology.nodes.map(({ name }) => name).join(', ')
        const message = `no node ${node} with an endpoint in realm ${mesh.topology.realm}; there are ${known}`
        throw new EntrepotError('CONFIG_INVALID', message)
      }
      const query = new URLSearchParams({ repository, reference }).toString()
      const view = await askNode<PullView>(url, `/api/v1/pulls?${query}`, {
        method: 'POST',
        tlsCa,
      }).catch(async (err: unknown) => {
        // A script that says it twice has what it wants.
        const why = await askNode<WhyView>(url, `/api/v1/why?${query}`, { tlsCa })
        if (why.verdict !== 'held') throw err
        return why
      })
      if ('verdict' in view) {
        if (json === true) printJson(view)
        else print(view.sentence)
        return
      }
      if (!wait) {
        if (json === true) printJson(view)
        else
          print(`${node} fetches ${image} (${view.digest}); \`entrepot jobs\` shows how far it is`)
        return
      }
      const last = await untilOver(url, `/api/v1/why?${query}`, { tlsCa, timeoutMs })
      const isComing = COMING.has(last.verdict)
      if (json === true) printJson({ ...last, isComing })
      else if (isComing)
        print(
          `${image} is not at ${node} after ${options.timeout}. ${last.sentence} It goes on without this command: \`entrepot jobs\` shows how far it is.`,
        )
      else print(last.sentence)
      if (last.verdict !== 'held') process.exitCode = 1
    })
}

/** @returns what is said of it at last: that it is there, that it does not come, or, when the time is over, that it is coming. */
async function untilOver(
  url: string,
  path: string,
  { tlsCa, timeoutMs }: { readonly tlsCa: string | undefined; readonly timeoutMs: number },
): Promise<WhyView> {
  const beganAt = performance.now()
  for (let before = ''; ; ) {
    const view = await askNode<WhyView>(url, path, { tlsCa })
    const leftMs = timeoutMs - (performance.now() - beganAt)
    if (!COMING.has(view.verdict) || leftMs <= 0) return view
    // It may wait for long: for whom is said once, not at each look.
    if (view.verdict === 'waiting' && before !== 'waiting')
      process.stderr.write(`${view.sentence}\n`)
    before = view.verdict
    await systemClock.sleep(Math.min(LOOK_MS, leftMs))
  }
}

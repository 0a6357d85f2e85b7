/** `entrepot topology apply`: signs a topology file with the owner's key and gives it to one node; it spreads from there. */
import type { Command } from 'commander'
import type { TopologyChangeView } from '../admin/topology-view.ts'
import { runFileTests } from '../forecast/file-tests.ts'
import { EntrepotError } from '../lib/errors.ts'
import { loadIdentity } from '../node/identity-file.ts'
import { sealTopology } from '../node/topology-seal.ts'
import type { Finding } from '../topology/findings.ts'
import type { Topology } from '../topology/topology.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson } from './output.ts'

interface Options extends NodeOptions {
  readonly key: string
}

/** The node gives it to its neighbours, ends what it does and begins anew before it answers, milliseconds. */
const TIMEOUT_MS = 60_000

export function addApplyCommand(
  topology: Command,
  load: (file: string) => Promise<{
    readonly topology: Topology
    readonly text: string
    readonly findings: readonly Finding[]
  }>,
): void {
  nodeCommand(topology, 'apply', 'change what running nodes run: sign FILE and give it to a node')
    .argument('<file>', 'topology file of a higher generation')
    .requiredOption(
      '--key <file>',
      "key of the mesh's owner, as `entrepot identity new --identity FILE` makes it",
      process.env.ENTREPOT_OWNER_KEY,
    )
    .action(async (file: string, { url, tlsCa, json, key }: Options) => {
      const { topology: read, text, findings } = await load(file)
      refuseFailing(read, findings)
      const owner = await loadIdentity(key)
      const { realm, generation } = read
      const sealed = sealTopology(owner, { realm, generation, text })
      const view = await askNode<TopologyChangeView>(url, '/api/v1/topology', {
        method: 'POST',
        tlsCa,
        timeoutMs: TIMEOUT_MS,
        body: { ...sealed, signature: Buffer.from(sealed.signature).toString('base64') },
      })
      if (json === true) printJson(view)
      else print(`${outcomeText(view)}${heirText(read, owner.peerId)}`)
    })
}

/** @throws TESTS_FAILED */
function refuseFailing(topology: Topology, findings: readonly Finding[]): void {
  const failed = runFileTests(topology, { lints: findings }).filter(({ ok }) => !ok)
  if (failed.length === 0) return
  const lines = failed.map(({ name, reason }) => `\n  ${name}: ${reason}`)
  throw new EntrepotError(
    'TESTS_FAILED',
    `tests of the file fail, it was not sent:${lines.join('')}`,
  )
}

function outcomeText({ kind, node, generation }: TopologyChangeView): string {
  return kind === 'adopted'
    ? `node ${node} runs generation ${generation} and gives it to the others (\`entrepot converged\` says who runs what)`
    : `node ${node} runs this already: generation ${generation}`
}

/** With a file the right to change it may go to another key, or be lost. */
function heirText({ owner }: Topology, signer: string): string {
  if (owner === signer) return ''
  return owner === undefined
    ? '\nit names no owner: nobody can apply another one; give each node a file of a higher generation with metadata.owner, and send it SIGHUP'
    : `\nits owner is ${owner}: the key that signed it counts for nothing from now on`
}

/** `entrepot serve`: one node, until a signal ends it. */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { ANONYMOUS_RIGHTS } from '../access/access.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import { LOG_LEVELS } from '../lib/logger.ts'
import { giveBackSpareMemory } from '../lib/spare-memory.ts'
import { type NodeFlags, resolveConfig } from '../node/config.ts'
import { createNode, type MeshNode } from '../node/create-node.ts'
import { whyUnfit } from '../node/membership.ts'
import { openTopologyFiles } from '../node/topology-files.ts'
import { chooseTopology, topologyWith } from '../node/topology-start.ts'
import { SPARSE_POLICIES } from '../storage/content-writer.ts'
import { failureText, print } from './output.ts'
import { loadTopology } from './topology.ts'

/** Requests under way have so long to end after a signal, milliseconds; container engines kill after 10 s. */
const DRAIN_MS = 8_000

export function addServeCommand(program: Command): void {
  const env = (flags: string, text: string, name: string) =>
    new Option(flags, text).env(`ENTREPOT_${name}`)
  program
    .command('serve')
    .description('run one node of a topology; each flag has an ENTREPOT_* variable')
    .addOption(
      env(
        '--topology <file>',
        'topology file, the same on every node',
        'TOPOLOGY',
      ).makeOptionMandatory(),
    )
    .addOption(
      env('--node <name>', 'which node of the topology this is', 'NODE').makeOptionMandatory(),
    )
    .addOption(
      env('--data <dir>', 'where the node keeps its content', 'DATA').makeOptionMandatory(),
    )
    .addOption(env('--listen <host:port>', 'registry address (default: of the endpoint)', 'LISTEN'))
    .addOption(env('--tls-cert <file>', 'certificate of the registry, PEM', 'TLS_CERT'))
    .addOption(env('--tls-key <file>', 'its key, PEM', 'TLS_KEY'))
    .addOption(
      env('--tls-ca <file>', 'authorities to believe when other nodes are asked', 'TLS_CA'),
    )
    .addOption(
      env('--mesh-listen <multiaddr>', 'address for neighbours (default: mesh)', 'MESH_LISTEN'),
    )
    .addOption(env('--identity <file>', 'key file (default: in the data directory)', 'IDENTITY'))
    .addOption(
      env(
        '--anonymous <right>',
        'rights of clients (default: push on loopback alone, else pull)',
        'ANONYMOUS',
      ).choices(ANONYMOUS_RIGHTS),
    )
    .addOption(
      env(
        '--keep-superseded <time>',
        'manifests stay so long once no tag shows them (default: 7d)',
        'KEEP_SUPERSEDED',
      ),
    )
    .addOption(
      env(
        '--keep-unused <time>',
        'blobs and uploads stay so long without a user (default: 24h)',
        'KEEP_UNUSED',
      ),
    )
    .addOption(env('--workers <n>', 'images fetched side by side (default: 4)', 'WORKERS'))
    .addOption(
      env('--readers <n>', 'threads that serve blobs beside the main one (default: 0)', 'READERS'),
    )
    .addOption(
      env(
        '--sparse <policy>',
        'manifests that lack blobs or children (default: refuse)',
        'SPARSE',
      ).choices(SPARSE_POLICIES),
    )
    .addOption(
      env(
        '--names <list>',
        'what mirrors call this mesh (?ns=), host[:port], with commas',
        'NAMES',
      ),
    )
    .addOption(
      env('--log-level <level>', 'how much is logged (default: info)', 'LOG_LEVEL').choices(
        LOG_LEVELS,
      ),
    )
    .addOption(
      new Option(
        '--limit <name=value>',
        'a bound other than its default, repeatable; docs/OPERATIONS.md lists them (env: ENTREPOT_LIMIT_<NAME>)',
      )
        .default([], 'none')
        .argParser((text: string, before: readonly string[]) => [...before, text]),
    )
    .addOption(new Option('--with-parent', 'end when standard input ends').hideHelp())
    .action(serve)
}

async function serve(
  flags: NodeFlags & { readonly topology: string; readonly withParent?: boolean },
): Promise<void> {
  const given = await loadTopology(flags.topology)
  const files = await openTopologyFiles(flags.data ?? '')
  const start = chooseTopology(given, files)
  const config = resolveConfig(flags, topologyWith(flags.node, start, given), process.env)
  const reason = whyUnfit(config, start.running.topology)
  if (reason !== undefined) {
    const { generation } = start.running.topology
    const where = `this is generation ${generation}, which the node took up while it ran: give it a file of a higher one`
    throw new EntrepotError('TOPOLOGY_UNFIT', start.isAdopted ? `${reason} (${where})` : reason)
  }
  const hangUps = hearHangUps()
  const stopped = untilStopped(flags.withParent === true)
  const stop = new AbortController()
  void stopped.then(() => stop.abort())
  const { signal } = stop
  const node = await createNode(config, start, { files, signal }).catch((err: unknown) => {
    // Everything that was built is closed by now.
    if (err === signal.reason) process.exit(0)
    throw err
  })
  giveBackSpareMemory()
  hangUps.follow(() => void reload(node, flags.topology))
  print(
    `ready: node ${config.node} of ${given.topology.realm}, registry ${node.url}, peer id ${node.peerId}`,
  )
  const lost = await Promise.race([stopped, node.lost])
  if (lost !== undefined) {
    // What it waited for does not come, so closing would not end either.
    process.stderr.write(`entrepot: ${failureText(lost)}\n`)
    process.exit(1)
  }
  await close(node)
  // Sockets of a client library may linger; everything of ours is closed and durable.
  process.exit(0)
}

/** SIGHUP would end the process: one that comes while the node starts is followed when it is ready. */
function hearHangUps(): { follow(act: () => void): void } {
  let isDue = false
  let act = () => {
    isDue = true
  }
  process.on('SIGHUP', () => act())
  return {
    follow: (given) => {
      act = given
      if (isDue) act()
    },
  }
}

/** The file is read again: the operator of this machine says what it shall run. */
async function reload(node: MeshNode, file: string): Promise<void> {
  try {
    const outcome = await node.reload(await readFile(file, 'utf8'))
    if (outcome.kind === 'refused') {
      print(`topology file not taken, the former one runs on: ${outcome.reason}`)
    } else {
      print(`topology: generation ${outcome.generation} runs`)
    }
  } catch (err) {
    print(`topology file not taken, the former one runs on: ${messageOf(err)}`)
  }
}

/** The first signal, or the end of the parent. A second signal ends the process at once. */
function untilStopped(withParent: boolean): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        signals += 1
        if (signals > 1) process.exit(130)
        resolve()
      })
    }
    if (!withParent) return
    process.stdin.resume()
    // It is listened to while the node runs; it must not keep a process alive that failed to start.
    process.stdin.unref()
    process.stdin.on('end', () => resolve())
    process.stdin.on('error', () => resolve())
  })
}

async function close(node: MeshNode): Promise<void> {
  await node.drain(DRAIN_MS)
  await node[Symbol.asyncDispose]()
}

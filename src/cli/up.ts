/** `entrepot up`: every node of a topology on this machine, a process each, until Ctrl-C. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { ANONYMOUS_RIGHTS } from '../access/access.ts'
import type { TopologyView } from '../admin/topology-view.ts'
import { EntrepotError } from '../lib/errors.ts'
import { runDemo } from './demo.ts'
import { type LocalMesh, prepareLocalMesh } from './local-mesh.ts'
import { type LocalProcess, startFailure, startLocalProcess } from './local-process.ts'
import { askNode } from './node-api.ts'
import { print, table } from './output.ts'
import { loadTopology } from './topology.ts'

interface UpOptions {
  readonly data?: string
  readonly demo?: boolean
  readonly once?: boolean
  readonly anonymous?: string
}

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('run every node of a topology on this machine, a process each, until Ctrl-C')
    .argument('<file>', 'topology file; nodes without addresses get loopback ones')
    .addOption(
      new Option(
        '--data <dir>',
        'content and identities, a directory each (default: entrepot/REALM in the temporary directory)',
      ).env('ENTREPOT_DATA'),
    )
    .option('--demo', 'push a small image made on the spot and show how it spreads')
    .option('--once', 'with --demo: pull the image back from an edge, compare it, and end')
    .addOption(
      new Option('--anonymous <right>', 'rights of clients (default: push)')
        .choices(ANONYMOUS_RIGHTS)
        .env('ENTREPOT_ANONYMOUS'),
    )
    .action(up)
}

async function up(file: string, options: UpOptions): Promise<void> {
  if (options.once === true && options.demo !== true) {
    throw new EntrepotError('CONFIG_INVALID', '--once is the end of a --demo: give both')
  }
  const loaded = await loadTopology(file)
  const directory = options.data ?? join(tmpdir(), 'entrepot', loaded.topology.realm)
  const mesh = await prepareLocalMesh(loaded, directory)
  const stopped = untilStopped()
  const processes: LocalProcess[] = []
  try {
    print(
      `Starting ${mesh.nodes.length} nodes of ${mesh.topology.realm}; content and logs are in ${directory}`,
    )
    const rights = options.anonymous === undefined ? [] : ['--anonymous', options.anonymous]
    for (const node of mesh.nodes) {
      processes.push(await startLocalProcess(mesh, node, ['--log-level', 'warn', ...rights]))
    }
    for (const [at, node] of mesh.nodes.entries()) {
      const isReady = await Promise.race([processes[at]?.ready, stopped.done.then(() => 'stopped')])
      if (isReady === 'stopped') return
      if (isReady !== true) throw await startFailure(node)
    }
    reportEnds(mesh, processes, stopped.signal)
    print(
      table([
        ['NODE', 'REGISTRY', 'PROCESS', 'WRITES'],
        ...mesh.nodes.map(({ name, url }, at) => [
          name,
          url,
          String(processes[at]?.pid),
          writes(mesh.topology, name),
        ]),
      ]),
    )
    if (options.demo === true) {
      const once = options.once === true
      const isGood = await runDemo(mesh, { once, signal: stopped.signal })
      if (once) {
        process.exitCode = isGood ? 0 : 1
        return
      }
    }
    if (!stopped.signal.aborted) {
      await tellTakenUp(mesh)
      print(`
The mesh is up. Ctrl-C stops it; the same command starts it again with its content.
Its file with all addresses, to copy, change and \`entrepot topology apply\`: ${mesh.topologyFile}
Changed in its place, with a higher generation, \`kill -HUP PROCESS\` makes one node read it again.`)
    }
    await stopped.done
    print('Stopping...')
  } finally {
    stopped.end()
    await Promise.all(processes.map((one) => one.stop()))
  }
}

/** The first signal, or our own end; a second signal ends this process at once, and the nodes with it. */
function untilStopped() {
  const stop = new AbortController()
  const end = () => stop.abort(new DOMException('the mesh is being stopped', 'AbortError'))
  const done = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
  return { signal: stop.signal, done, end }
}

/** Nodes go on with a newer topology that they took up in an earlier run, which is not the one of the table. */
async function tellTakenUp({ nodes: [first], topology }: LocalMesh): Promise<void> {
  if (first === undefined) return
  const runs = await askNode<TopologyView>(first.url, '/api/v1/topology').catch(() => undefined)
  if (runs === undefined || runs.generation === topology.generation) return
  print(
    `\nThe nodes run generation ${runs.generation}, which they took up before; the file is generation ${topology.generation}`,
  )
}

/** A node that dies is told of; the others go on, as they would on machines of their own. */
function reportEnds(
  mesh: LocalMesh,
  processes: readonly LocalProcess[],
  signal: AbortSignal,
): void {
  for (const { name, ended } of processes) {
    const log = mesh.nodes.find((node) => node.name === name)?.logFile
    void ended.then((how) => {
      if (signal.aborted) return
      print(`Node ${name} ended by itself (${how}); its log is ${log}`)
      print('The others go on. It starts again with the mesh: Ctrl-C, and the same command')
    })
  }
}

function writes(topology: LocalMesh['topology'], node: string): string {
  const own = topology.origins.filter(({ writers }) => writers.some((writer) => writer === node))
  return own.length === 0 ? '' : 'yes'
}

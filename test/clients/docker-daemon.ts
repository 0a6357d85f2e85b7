/** A dockerd of its own: socket, data and state in a temporary directory, no bridge, no firewall rules. Needs root. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { run, sayIt, startDaemon, temporaryDirectory } from './programs.ts'

export interface Docker extends AsyncDisposable {
  /** Why there can be no daemon here; undefined when there is one. */
  readonly unavailable: string | undefined
  /** Runs the client. @returns what it printed to standard output, trimmed. @throws with all output when it fails */
  docker(...args: readonly string[]): Promise<string>
  /** What a container wrote, both streams. */
  logs(container: string): Promise<string>
}

/** Milliseconds: it comes up in two seconds, or not at all. */
const START_TIMEOUT_MS = 30_000

export async function startDocker(): Promise<Docker> {
  await using building = new AsyncDisposableStack()
  const { path } = building.use(await temporaryDirectory())
  building.defer(() => unmountBelow(path))
  const socket = `unix://${join(path, 'd.sock')}`
  const state = join(path, 'exec')
  // What a daemon that had to be killed leaves behind: its containerd.
  building.defer(() => killByPidFile(join(state, 'containerd', 'containerd.pid')))
  const daemon = building.use(
    startDaemon('dockerd', [
      `--host=${socket}`,
      `--pidfile=${join(path, 'pid')}`,
      `--data-root=${join(path, 'data')}`,
      `--exec-root=${state}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
    ]),
  )
  const env = {
    DOCKER_HOST: socket,
    DOCKER_CONFIG: join(path, 'config'),
    // The builder inside dockerd: the other one needs a plugin that Debian does not have.
    DOCKER_BUILDKIT: '0',
  }
  const docker = async (...args: readonly string[]) =>
    (await run('docker', args, { env })).stdout.trim()
  const logs = async (container: string) => {
    const { stdout, stderr } = await run('docker', ['logs', container], { env })
    return `${stdout}${stderr}`
  }
  const isUp = await eventually(
    async () => {
      if (!daemon.isRunning()) return 'ended'
      return docker('version', '--format', '{{.Server.Version}}')
    },
    { timeoutMs: START_TIMEOUT_MS },
  ).then(
    (version) => version !== 'ended',
    () => false,
  )
  const unavailable = isUp ? undefined : `dockerd does not run here: ${daemon.log().slice(-600)}`
  if (unavailable !== undefined) sayIt(`skipped: ${unavailable}`)
  else building.defer(() => removeContainers(docker))
  const parts = building.move()
  return { unavailable, docker, logs, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function removeContainers(docker: Docker['docker']): Promise<void> {
  const containers = await docker('ps', '--all', '--quiet')
  if (containers !== '') await docker('rm', '--force', ...containers.split('\n'))
}

async function killByPidFile(path: string): Promise<void> {
  const pid = Number(await readFile(path, 'utf8').catch(() => ''))
  if (!Number.isInteger(pid) || pid <= 1) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its daemon, as it should.
  }
}

/** What dockerd leaves mounted when it ends: network namespaces of containers that used the machine's. */
async function unmountBelow(directory: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
  for (const point of mounts.reverse()) await run('umount', [point])
}

/** The registries that are compared: each one a process of its own on a port of loopback, where its program is there. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { eventually } from '../test/helpers/eventually.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import { reservePort } from '../test/helpers/ports.ts'

export interface Peer extends AsyncDisposable {
  readonly name: string
  /** Without a trailing slash. */
  readonly url: string
  /** What answers; undefined where it is not ours to look at. */
  readonly pid: number | undefined
  /** Takes no pushes: files at their paths under this directory are what it serves. */
  readonly files?: string
}

/** Starts a peer with its data in a directory of its own; undefined where its program is not installed. */
export type StartPeer = (directory: string) => Promise<Peer | undefined>

const DISTRIBUTION = 'github.com/distribution/distribution/v3/cmd/registry@v3.1.2'

/** In the order in which they are measured. */
export const PEERS: Readonly<Record<string, StartPeer>> = {
  entrepot: startEntrepot,
  'docker-registry': (directory) =>
    startDistribution('docker-registry', 'docker-registry', directory),
  distribution: async (directory) => {
    const program = installDistribution()
    return program === undefined ? undefined : startDistribution('distribution', program, directory)
  },
  nginx: startNginx,
}

export function externalPeer(name: string, url: string): Peer {
  return {
    name,
    url: url.replace(/\/+$/, ''),
    pid: undefined,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** One node of a topology whose other nodes are not running. Its data goes to the system's temporary directory. */
async function startEntrepot(): Promise<Peer> {
  const flags = ['--log-level', 'warn', ...(process.env.BENCH_NODE_FLAGS?.split(' ') ?? [])]
  const mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'], flags })
  const { url, pid } = mesh.node('hq')
  return { name: 'entrepot', url, pid, [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose]() }
}

/** Version 2.8 and 3 read the same file. Logs are off as far as they can be: they are no part of the work. */
async function startDistribution(
  name: string,
  program: string,
  directory: string,
): Promise<Peer | undefined> {
  const path = findProgram(program)
  if (path === undefined) return undefined
  const config = join(directory, 'config.yml')
  return startProgram(name, async (port) => {
    const text = [
      'version: 0.1',
      'log: { level: error, accesslog: { disabled: true } }',
      `storage: { filesystem: { rootdirectory: ${directory}/data }, cache: { blobdescriptor: inmemory }, delete: { enabled: true } }`,
      `http: { addr: "127.0.0.1:${port}" }`,
    ]
    await writeFile(config, `${text.join('\n')}\n`)
    return [path, 'serve', config]
  })
}

/** Static files: what the kernel and a server without any logic can do. */
async function startNginx(directory: string): Promise<Peer | undefined> {
  const path = findProgram('nginx')
  if (path === undefined) return undefined
  const files = join(directory, 'files')
  await mkdir(files, { recursive: true })
  const config = join(directory, 'nginx.conf')
  const peer = await startProgram('nginx', async (port) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const text = `
      daemon off; worker_processes 2; pid ${directory}/nginx.pid; error_log ${directory}/error.log crit;
      ${process.getuid?.() === 0 ? 'user root;' : ''}
      events { worker_connections 1024; }
      http {
        access_log off; sendfile on; sendfile_max_chunk 0; tcp_nopush off; tcp_nodelay on;
        open_file_cache max=4096 inactive=600s; open_file_cache_valid 600s;
        keepalive_requests 100000000; default_type application/octet-stream;
        ${temporary.map((one) => `${one}_temp_path ${directory}/${one};`).join(' ')}
        server { listen 127.0.0.1:${port} backlog=1024; root ${files}; }
      }`
    await writeFile(config, text)
    return [path, '-p', directory, '-e', join(directory, 'error.log'), '-c', config]
  })
  return { ...peer, files }
}

/** Runs a server on a free port until it is let go. @throws with what it wrote when it does not answer */
async function startProgram(
  name: string,
  commandFor: (port: number) => Promise<readonly string[]>,
): Promise<Peer> {
  await using building = new AsyncDisposableStack()
  const reserved = building.use(await reservePort())
  const url = `http://127.0.0.1:${reserved.port}`
  const [program = '', ...rest] = await commandFor(reserved.port)
  let log = ''
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  building.defer(() => end(child))
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log = `${log}${text}`.slice(-4_000)
    })
  }
  const gone = once(child, 'exit').then(() => {
    throw new Error(`${name} ended before it answered:\n${log}`)
  })
  gone.catch(() => {})
  await Promise.race([gone, eventually(async () => (await fetch(`${url}/v2/`)).status > 0)])
  const parts = building.move()
  return { name, url, pid: child.pid, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

/** Builds it once, into the system's temporary directory; undefined without Go. */
function installDistribution(): string | undefined {
  const go = findProgram('go')
  if (go === undefined) return undefined
  const bin = join(tmpdir(), 'entrepot-bench', 'bin')
  const program = join(bin, 'registry')
  if (findProgram(program) !== undefined) return program
  console.error(`go install ${DISTRIBUTION} (once, some minutes)`)
  execFileSync(go, ['install', DISTRIBUTION], { env: { ...process.env, GOBIN: bin } })
  return program
}

/** The program's path: as given, from PATH, or from where Debian and Go put programs that PATH may not have. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/go/bin']
  const candidates = name.includes('/') ? [name] : folders.map((folder) => join(folder, name))
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Programs of the machine: are they here, run one to its end, keep one running; all by process id. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test } from 'vitest'

/** Debian's package of each program that these tests run. */
const PACKAGES: Readonly<Record<string, string>> = {
  skopeo: 'skopeo',
  'docker-registry': 'docker-registry',
  docker: 'docker.io',
  dockerd: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  podman: 'podman',
  debootstrap: 'debootstrap',
  faketime: 'faketime',
}
/** Where daemons stand, which are not in the search path of every user. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin']
const SEARCH_PATH = [process.env.PATH ?? '', ...SYSTEM_DIRECTORIES].join(delimiter)
/** Milliseconds; the longest runs build an image, and the slowest machine has two busy cores. */
const RUN_TIMEOUT_MS = 240_000
/** Milliseconds that a daemon has to end after SIGTERM. */
const END_TIMEOUT_MS = 20_000
/** Bytes of output that are kept: a build prints some hundred kilobytes. */
const MAX_OUTPUT = 16 * 1024 * 1024

/** `test` where the programs are installed (as root, where daemons need it), else a skipped one; says which and why. */
export function testWith(programs: readonly string[], { root = false } = {}) {
  const missing = programs.filter((name) => find(name) === undefined)
  const reasons = missing.map((name) => `${name} is not installed (package ${PACKAGES[name]})`)
  if (root && process.getuid?.() !== 0) reasons.push('it needs root')
  if (reasons.length > 0) sayIt(`skipped: ${reasons.join(', ')}`)
  return test.skipIf(reasons.length > 0)
}

/** For whoever reads the run: what was skipped, sizes, times. */
export function sayIt(text: string): void {
  process.stderr.write(`clients: ${text}\n`)
}

export function find(program: string): string | undefined {
  return SEARCH_PATH.split(delimiter)
    .map((directory) => join(directory, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly timeoutMs?: number
}

/** Runs a program to its end. @returns what it printed, both streams. @throws with all of it on another exit code than 0 */
export function run(
  program: string,
  args: readonly string[],
  { env, cwd, timeoutMs = RUN_TIMEOUT_MS }: RunOptions = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env: { ...process.env, PATH: SEARCH_PATH, ...env },
      timeout: timeoutMs,
      maxBuffer: MAX_OUTPUT,
    }
    execFile(program, args, options, (err, stdout, stderr) => {
      if (err === null) return resolve({ stdout, stderr })
      const why = err.killed ? `was ended after ${timeoutMs} ms` : `failed with ${err.code}`
      const output = `${stdout}${stderr}`.slice(-4_000)
      reject(new Error(`${program} ${args.join(' ')} ${why}:\n${output}`, { cause: err }))
    })
  })
}

export interface Daemon extends AsyncDisposable {
  log(): string
  isRunning(): boolean
}

/** Keeps a program running until it is disposed of: SIGTERM, and SIGKILL where that does not end it. */
export function startDaemon(program: string, args: readonly string[]): Daemon {
  const child = spawn(program, args, {
    env: { ...process.env, PATH: SEARCH_PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  const keep = (chunk: Buffer) => {
    log = `${log}${chunk.toString()}`.slice(-MAX_OUTPUT)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.once('error', (err) => keep(Buffer.from(err.message)))
  const isRunning = () =>
    child.pid !== undefined && child.exitCode === null && child.signalCode === null
  return {
    log: () => log,
    isRunning,
    [Symbol.asyncDispose]: async () => {
      if (isRunning()) await end(child)
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit', { signal: AbortSignal.timeout(END_TIMEOUT_MS) })
  child.kill('SIGTERM')
  await gone.catch(() => child.kill('SIGKILL'))
}

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  // Short: paths of sockets below it have at most 107 bytes.
  const path = await mkdtemp(join(tmpdir(), 'entrepot-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  }
}

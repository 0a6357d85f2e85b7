/** One real node: an `entrepot serve` process that can be started, ended, frozen and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import { eventually } from './eventually.ts'

export interface NodeFacts {
  readonly name: string
  /** Of the registry, without a trailing slash. */
  readonly url: string
  readonly meshAddress: string
  readonly peerId: string
  readonly dataDirectory: string
  readonly topologyFile: string
  /** Command that places the process, e.g. into a network namespace; before `wrapper`. */
  readonly within?: readonly string[]
}

export interface NodeOptions {
  /** Further flags of `entrepot serve`. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Run before the node, e.g. `['faketime', '+10m']`. */
  readonly wrapper?: readonly string[]
}

export interface NodeProcess extends NodeFacts, AsyncDisposable {
  /** Of the running process; undefined while there is none. */
  readonly pid: number | undefined
  /** What all processes of this node have written so far. */
  log(): string
  /** Resolves when `/readyz` says so. The options hold for later starts too. @throws when the process ends first */
  start(options?: NodeOptions): Promise<void>
  /** SIGTERM; resolves with the exit code when the process is gone. */
  stop(): Promise<number | null>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGSTOP: its sockets stay open and nothing answers. */
  pause(): void
  /** SIGCONT. */
  continue(): void
  /** `stop`, then `start`. */
  restart(options?: NodeOptions): Promise<void>
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Milliseconds: seven nodes start at once on two cores that others use too. */
const START_TIMEOUT_MS = 60_000
/** Milliseconds; a node gives requests under way 8 s. */
const STOP_TIMEOUT_MS = 20_000
/** Characters kept of what a node wrote: the newest. */
const MAX_LOG = 4_000_000

export function createNodeProcess(facts: NodeFacts, initial: NodeOptions = {}): NodeProcess {
  let options = initial
  let child: ChildProcess | undefined
  let log = ''

  function isRunning(): boolean {
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  function keep(text: string): void {
    log = `${log}${text}`.slice(-MAX_LOG)
  }

  async function start(changed: NodeOptions = {}): Promise<void> {
    if (isRunning()) throw new Error(`node ${facts.name} runs already; stop it first`)
    options = { ...options, ...changed }
    const { flags = [], env = {}, wrapper = [] } = options
    const { topologyFile, name, dataDirectory, within = [] } = facts
    const where = ['--topology', topologyFile, '--node', name, '--data', dataDirectory]
    // With its parent: a test run that is killed leaves no nodes behind.
    const node = [process.execPath, MAIN, 'serve', ...where, '--with-parent', ...flags]
    const [program = process.execPath, ...rest] = [...within, ...wrapper, ...node]
    const started = spawn(program, rest, {
      env: { ...ownEnvironment(), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child = started
    started.stdout.setEncoding('utf8').on('data', keep)
    started.stderr.setEncoding('utf8').on('data', keep)
    // The node may be gone before its input is closed.
    started.stdin.on('error', () => {})
    started.once('error', (err) => keep(`${err.message}\n`))
    await untilReady(started)
  }

  async function untilReady(started: ChildProcess): Promise<void> {
    const ended = once(started, 'exit').then(([code, signal]) => {
      throw new Error(
        `node ${facts.name} ended with ${code ?? signal} before it was ready:\n${tail()}`,
      )
    })
    const ready = eventually(async () => isOk(`${facts.url}/readyz`), {
      timeoutMs: START_TIMEOUT_MS,
    }).catch((cause: unknown) => {
      throw new Error(`node ${facts.name} was not ready in time:\n${tail()}`, { cause })
    })
    ready.catch(() => {})
    ended.catch(() => {})
    await Promise.race([ready, ended])
  }

  function tail(): string {
    return log.slice(-2_000)
  }

  function signal(name: NodeJS.Signals): void {
    if (!isRunning()) throw new Error(`node ${facts.name} does not run: no ${name} for it`)
    child?.kill(name)
  }

  async function end(name: NodeJS.Signals): Promise<number | null> {
    const ending = child
    if (ending === undefined || !isRunning()) return ending?.exitCode ?? null
    const gone = once(ending, 'exit', { signal: AbortSignal.timeout(STOP_TIMEOUT_MS) })
    ending.kill(name)
    try {
      await gone
    } catch (cause) {
      ending.kill('SIGKILL')
      const message = `node ${facts.name} did not end within ${STOP_TIMEOUT_MS} ms of ${name}:\n${tail()}`
      throw new Error(message, { cause })
    }
    return ending.exitCode
  }

  return {
    ...facts,
    get pid() {
      return isRunning() ? child?.pid : undefined
    },
    log: () => log,
    start,
    stop: () => end('SIGTERM'),
    kill: async () => {
      await end('SIGKILL')
    },
    pause: () => signal('SIGSTOP'),
    continue: () => signal('SIGCONT'),
    restart: async (changed) => {
      await end('SIGTERM')
      await start(changed)
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL')
    },
  }
}

/** Tests push at writers whose neighbours are not started: they are not waited for so long, milliseconds. */
const READ_BACK = { ENTREPOT_LIMIT_READ_BACK: '500' }

/** The environment without settings of some node of the machine. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_'))
  return { ...Object.fromEntries(kept), ...READ_BACK }
}

/** Whether a node is up is asked whatever certificate it shows. */
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })

async function isOk(url: string): Promise<boolean> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS)
  const answer = await request(url, { dispatcher, signal })
  await answer.body.dump()
  return answer.statusCode === 200
}

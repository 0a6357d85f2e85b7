/** One node of a mesh on this machine as a process: started, watched, and ended in order. */
import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { LocalMesh, LocalNode } from './local-mesh.ts'

export interface LocalProcess {
  readonly name: string
  /** Undefined when it could not be started. */
  readonly pid: number | undefined
  /** Resolves with true when it serves, with false when it ended before. */
  readonly ready: Promise<boolean>
  /** Resolves with the exit code, or the signal, when it is gone. */
  readonly ended: Promise<number | string>
  /** Ends it in order; resolves when it is gone. */
  stop(): Promise<void>
}

/** A node ends within 10 s of a signal; one that does not is killed after this, milliseconds. */
const KILL_AFTER_MS = 15_000

/** Starts one node; it ends with this process, whatever ends that. */
export async function startLocalProcess(
  mesh: LocalMesh,
  node: LocalNode,
  flags: readonly string[],
): Promise<LocalProcess> {
  const log = await open(node.logFile, 'a', 0o600)
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const where = ['--topology', mesh.topologyFile, '--node', node.name, '--data', node.dataDirectory]
  const child = spawn(process.execPath, [main, 'serve', ...where, '--with-parent', ...flags], {
    // Its own process group: Ctrl-C reaches `up` alone, which then stops the nodes in order.
    detached: true,
    env: withoutOwnVariables(process.env),
    stdio: ['pipe', 'pipe', log.fd],
  })
  await log.close()
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    child.once('error', (err) => resolve(err.message))
  })
  return {
    name: node.name,
    pid: child.pid,
    ended,
    ready: Promise.race([untilReady(child), ended.then(() => false)]),
    stop: async () => {
      child.kill('SIGTERM')
      const over = new AbortController()
      const late = systemClock.sleep(KILL_AFTER_MS, { signal: over.signal }).then(
        () => child.kill('SIGKILL'),
        () => {},
      )
      await ended
      over.abort()
      await late
    },
  }
}

/** Why a node did not start. */
export async function startFailure({ name, logFile }: LocalNode): Promise<EntrepotError> {
  const lines = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n')
  const why = (lines.at(-1) ?? '').replace(/^entrepot: /, '')
  const message = `node ${name} did not start: ${why} (log: ${logFile})`
  return new EntrepotError('NODE_FAILED', message)
}

/** ENTREPOT_LISTEN and its like are meant for one node: all would take the same port. */
function withoutOwnVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ENTREPOT_')))
}

function untilReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('ready:')) resolve(true)
    })
  })
}

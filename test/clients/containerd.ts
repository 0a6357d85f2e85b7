/** containerd for a test. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { run, startDaemon } from './programs.ts'

/** containerd with a root, a state and a socket of its own. @returns how to run `ctr` with it */
export async function startContainerd(directory: string) {
  const socket = join(directory, 'c.sock')
  const configFile = join(directory, 'config.toml')
  await writeFile(
    configFile,
    `version = 2
root = "${join(directory, 'root')}"
state = "${join(directory, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socket}"
`,
  )
  const daemon = startDaemon('containerd', ['--config', configFile])
  const ctr = (...args: readonly string[]) => run('ctr', ['--address', socket, ...args])
  await eventually(() => {
    if (!daemon.isRunning()) throw new Error(`containerd ended: ${daemon.log()}`)
    return ctr('version')
  })
  return { ctr, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() }
}

/** Unpacks by copying: needs nothing of the kernel. */
export const SNAPSHOTS = ['--snapshotter', 'native']

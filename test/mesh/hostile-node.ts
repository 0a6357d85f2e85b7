/** One node with small bounds and canaries around its content, for tests that mean harm. */
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'

const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: hostile, generation: 1 }
nodes: { hub: {} }
origins: [{ repos: ["**"], writers: hub }]
policies: {}
links: []
`

/** A heap that what is kept by mistake soon fills; then the node ends. */
const HEAP_MIB = 256

/** Text that stands in files which no route may show. */
export const CANARY = 'canary-3f9c1d7e'

export interface HostileNode extends AsyncDisposable {
  readonly node: NodeProcess
  readonly port: number
  readonly pid: number
  /** Paths of everything below the directory around the data directory that is not content. */
  outside(): Promise<readonly string[]>
  /** Names of files and directories of content that are not of the layout's alphabet. */
  oddNames(): Promise<readonly string[]>
  /** Sockets, blobs and stages that the process has open. */
  openFiles(): Promise<readonly string[]>
  /** MiB. */
  residentMiB(): Promise<number>
}

export async function startHostileNode(limits: readonly string[] = []): Promise<HostileNode> {
  const flags = limits.flatMap((limit) => ['--limit', limit])
  const mesh = await startMesh(
    { text: TOPOLOGY },
    {
      flags: [...flags, '--log-level', 'warn'],
      env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` },
    },
  )
  const node = mesh.node('hub')
  const pid = node.pid ?? 0
  const data = node.dataDirectory
  for (const path of [mesh.directory, data, join(data, 'entrepot'), join(data, 'docker')]) {
    await writeFile(join(path, 'canary.txt'), CANARY)
  }
  return {
    node,
    port: Number(new URL(node.url).port),
    pid,
    outside: async () => {
      const all = await readdir(mesh.directory, { recursive: true })
      const content = [join(data, 'docker', 'registry'), join(data, 'entrepot')].map((path) =>
        relative(mesh.directory, path),
      )
      return all.filter((path) => !content.some((root) => path.startsWith(root))).sort()
    },
    oddNames: async () => {
      const all = await readdir(join(data, 'docker'), { recursive: true })
      return all.filter((path) => !/^(?:[A-Za-z0-9._-]+\/)*[A-Za-z0-9._-]+$/.test(path))
    },
    openFiles: async () => {
      const names = await readdir(`/proc/${pid}/fd`)
      const links = await Promise.all(
        names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')),
      )
      return links.filter((link) => /^socket:|\/staging\/|\/docker\//.test(link))
    },
    residentMiB: async () => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
    },
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  }
}

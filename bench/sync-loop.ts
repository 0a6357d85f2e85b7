/**
 * What people do without a mesh: docker-registry as hub and edges, and at each edge `skopeo sync` from the hub, again and
 * again without a pause.
 */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ACCEPT_MANIFEST } from './corpus.ts'
import { findProgram, PEERS, type Peer } from './peers.ts'

export interface SyncLoop extends AsyncDisposable {
  readonly hub: Peer
  readonly edges: readonly Peer[]
  /** Resolves when every edge shows the digest under the tag. */
  everywhere(tag: string, digest: string): Promise<void>
}

/** Between two looks at an edge, milliseconds. */
const LOOK_MS = 5
const runProgram = promisify(execFile)

/** Undefined where skopeo or docker-registry is missing. */
export async function startSyncLoop(
  directory: string,
  { repository, edges: count }: { readonly repository: string; readonly edges: number },
): Promise<SyncLoop | undefined> {
  const skopeo = findProgram('skopeo')
  if (skopeo === undefined) return undefined
  await using building = new AsyncDisposableStack()
  const registries: Peer[] = []
  for (let at = 0; at <= count; at += 1) {
    const own = join(directory, `sync-${at}`)
    await mkdir(own)
    const peer = await PEERS['docker-registry']?.(own)
    if (peer === undefined) return undefined
    registries.push(building.use(peer))
  }
  const [hub, ...edges] = registries
  if (hub === undefined) return undefined
  let isOver = false
  const hostOf = ({ url }: Peer) => new URL(url).host
  const namespace = repository.slice(0, repository.lastIndexOf('/'))

  async function loop(edge: Peer): Promise<void> {
    const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
    const kinds = ['--src', 'docker', '--dest', 'docker', '--preserve-digests']
    const from = `${hostOf(hub as Peer)}/${repository}`
    while (!isOver) {
      const to = `${hostOf(edge)}/${namespace}`
      // Nothing is there yet, or a tag moved while it was copied: the next round gets it.
      await runProgram(skopeo as string, ['sync', ...plain, ...kinds, from, to]).catch(() =>
        delay(50),
      )
    }
  }

  async function shows(url: string, tag: string, digest: string): Promise<boolean> {
    const headers = { accept: ACCEPT_MANIFEST }
    const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
      method: 'HEAD',
      headers,
    })
    return answer.headers.get('docker-content-digest') === digest
  }

  const loops = edges.map(loop)
  building.defer(async () => {
    isOver = true
    await Promise.all(loops)
  })
  const parts = building.move()
  return {
    hub,
    edges,
    everywhere: async (tag, digest) => {
      await Promise.all(
        edges.map(async ({ url }) => {
          while (!(await shows(url, tag, digest))) await delay(LOOK_MS)
        }),
      )
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** What was acknowledged during faults, and whether all of it is where it must be afterwards. */
import { setTimeout as delay } from 'node:timers/promises'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import type { TestManifest } from '../helpers/images.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

export interface Acknowledged {
  /** Pushes until it is acknowledged; a node that is down meanwhile is asked again. */
  push(node: NodeProcess, repository: string, tag: string, image: TestManifest): Promise<void>
  /**
   * Waits until `entrepot converged` says so and each of `nodes` shows one and the same acknowledged image for every tag of the repositories, then reads every
   * byte of it from each; and every other acknowledged image by digest from the node that acknowledged it, or from any node where that one lost its disk.
   * @throws naming what is not so
   */
  check(nodes: readonly NodeProcess[]): Promise<void>
  /** The disk of `node` is gone: an image that was replaced before it came back is at other nodes only, as nothing wants it at this one any more. */
  diskLost(node: NodeProcess): void
  count(): number
}

/** Milliseconds in which a mesh that is whole again must agree: reconnecting takes most of it. */
const AGREE_MS = 90_000
/** Between two tries of a push, milliseconds. */
const AGAIN_MS = 200
/** Milliseconds: a node is killed and started again within. */
const PUSH_MS = 60_000

interface Push {
  readonly node: NodeProcess
  readonly repository: string
  readonly tag: string
  readonly image: TestManifest
}

export function createAcknowledged(): Acknowledged {
  const pushes: Push[] = []
  const lost = new Set<Push>()

  async function checkTag(nodes: readonly NodeProcess[], ofTag: readonly Push[]): Promise<void> {
    const [{ repository, tag } = { repository: '', tag: '' }] = ofTag
    const winner = await eventually(
      async () => {
        const shown = await Promise.all(nodes.map(({ url }) => digestAt(url, repository, tag)))
        const [first] = shown
        if (first !== undefined && shown.every((digest) => digest === first)) return first
        const states = nodes.map(
          ({ name }, at) => `${name} ${shown[at]?.slice(7, 19) ?? 'nothing'}`,
        )
        throw new Error(`${repository}:${tag} is not the same everywhere: ${states.join(', ')}`)
      },
      { timeoutMs: AGREE_MS },
    )
    const image = ofTag.find((push) => push.image.digest === winner)?.image
    if (image === undefined) {
      throw new Error(`${repository}:${tag} shows ${winner}, which nobody acknowledged`)
    }
    for (const { url } of nodes) await comparePull(url, repository, tag, image)
  }

  return {
    push: async (node, repository, tag, image) => {
      const deadline = performance.now() + PUSH_MS
      for (;;) {
        try {
          await pushImage(node.url, repository, tag, image)
          break
        } catch (err) {
          if (performance.now() > deadline) throw err
          await delay(AGAIN_MS)
        }
      }
      pushes.push({ node, repository, tag, image })
    },
    check: async (nodes) => {
      const [first] = nodes
      const asked = ['converged', '--wait', '--timeout', `${AGREE_MS}ms`, '--url', first?.url ?? '']
      const { status, stdout, stderr } = entrepot(...asked)
      if (status !== 0)
        throw new Error(`entrepot converged ended with ${status}:\n${stdout}${stderr}`)
      const byTag = Map.groupBy(pushes, ({ repository, tag }) => `${repository}:${tag}`)
      for (const ofTag of byTag.values()) await checkTag(nodes, ofTag)
      for (const push of pushes) {
        const { node, repository, image } = push
        const urls = (lost.has(push) ? nodes : [node]).map(({ url }) => url)
        await Promise.any(urls.map((url) => comparePull(url, repository, image.digest, image)))
      }
    },
    diskLost: (node) => {
      for (const push of pushes) if (push.node === node) lost.add(push)
    },
    count: () => pushes.length,
  }
}

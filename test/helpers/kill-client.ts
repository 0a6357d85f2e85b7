/**
 * A client of a node that is killed again and again. It changes things at random, keeps account of what the node has
 * acknowledged, and checks that all of it is there and nothing by halves. What was under way may have happened or not.
 */
import type { SeededRandom } from '../../src/simulator/seeded-random.ts'
import { bytesOf, makeBlob, makeImage, type TestBlob, type TestManifest } from './images.ts'
import { comparePull, digestAt } from './registry-calls.ts'

export interface KillClient {
  readonly repository: string
  /** Changes that the node has acknowledged. */
  acknowledged(): number
  /** Tag -> digest, as the last check found them; without those that show nothing. */
  shown(): ReadonlyMap<string, string>
  /** Changes one thing after the other until the node is gone. @throws when a living node answers wrongly */
  run(): Promise<void>
  /**
   * Where collections run, what no tag shows may be gone: it is not asked for, which would keep it.
   * @throws naming what was acknowledged and is not there, or is there by halves
   */
  check(options: { readonly isCollected: boolean }): Promise<void>
}

export interface KillClientOptions {
  readonly url: string
  readonly name: string
  readonly random: SeededRandom
  /** Layers of another repository that can be mounted. */
  readonly shared: { readonly repository: string; readonly layers: readonly TestBlob[] }
}

interface Upload {
  readonly location: string
  readonly blob: TestBlob
  /** Bytes that the node has acknowledged. */
  acknowledged: number
  /** The closing PUT was sent, and nobody knows how it ended. */
  isClosing: boolean
}

const TAGS = ['a', 'b', 'c', 'd']
/** Stands for a tag that shows nothing. */
const NOTHING = 'nothing'
/** Images by digest that are remembered: a check stays short however many rounds there are. */
const MAX_KEPT = 12
const KIB = 1024

class NodeGone extends Error {}

export function createKillClient({ url, name, random, shared }: KillClientOptions): KillClient {
  const repository = `demo/${name}`
  const base = `${url}/v2/${repository}`
  /** What each tag may show: one digest, or several where the node died under a change. */
  const tags = new Map(TAGS.map((tag) => [tag, new Set([NOTHING])]))
  /** Every image that a tag may show. */
  const images = new Map<string, TestManifest>()
  /** Acknowledged and not deleted: they can be pulled by digest. */
  const kept = new Map<string, TestManifest>()
  /** Deletes by digest that were acknowledged. */
  const gone = new Set<string>()
  /** Tags that one delete under way takes along: all of them, or none. */
  let together: readonly string[] = []
  let upload: Upload | undefined
  let acknowledged = 0
  let made = 0

  async function call(path: string, expected: readonly number[], init: RequestInit = {}) {
    const target = path.startsWith('http') ? path : `${base}${path}`
    let answer: Response
    let text: string
    try {
      answer = await fetch(target, init)
      text = await answer.text()
    } catch (cause) {
      throw new NodeGone('the node is gone', { cause })
    }
    if (expected.includes(answer.status)) return answer
    throw new Error(`${init.method ?? 'GET'} ${target}: ${answer.status} ${text}`)
  }

  /** A tag goes its own way again. */
  function change(tag: string, may: Iterable<string>): void {
    tags.set(tag, new Set(may))
    if (together.includes(tag)) together = []
  }

  function shows(tag: string): ReadonlySet<string> {
    return tags.get(tag) ?? new Set()
  }

  /** Small mostly; one in six has a layer of 1 to 8 MiB. */
  function makeOwn(): TestManifest {
    made += 1
    const isLarge = random.below(6) === 0
    const layerBytes = (isLarge ? KIB + random.below(7 * KIB) : 1 + random.below(48)) * KIB
    const image = makeImage(`${name} ${made}`, { layers: 1, layerBytes })
    if (random.below(3) > 0) return image
    const [, own] = image.blobs
    const sharedLayers = [random.pick(shared.layers), ...(own === undefined ? [] : [own])]
    return makeImage(`${name} ${made}`, { sharedLayers })
  }

  async function pushBlob(blob: TestBlob): Promise<void> {
    if (shared.layers.includes(blob)) {
      const mount = `/blobs/uploads/?mount=${blob.digest}&from=${shared.repository}`
      await call(mount, [201], { method: 'POST' })
      return
    }
    const body = Uint8Array.from(blob.bytes)
    await call(`/blobs/uploads/?digest=${blob.digest}`, [201], { method: 'POST', body })
  }

  async function pushTag(): Promise<void> {
    const tag = random.pick(TAGS)
    const known = [...kept.values()]
    const image = known.length > 0 && random.below(4) === 0 ? random.pick(known) : makeOwn()
    for (const blob of image.blobs) await pushBlob(blob)
    images.set(image.digest, image)
    change(tag, [...shows(tag), image.digest])
    await call(`/manifests/${tag}`, [201], {
      method: 'PUT',
      body: Uint8Array.from(image.bytes),
      headers: { 'content-type': image.mediaType },
    })
    change(tag, [image.digest])
    kept.set(image.digest, image)
    gone.delete(image.digest)
  }

  async function deleteTag(): Promise<void> {
    const tag = random.pick(TAGS)
    const before = shows(tag)
    change(tag, [...before, NOTHING])
    const expected = before.has(NOTHING) ? [202, 404] : [202]
    await call(`/manifests/${tag}`, expected, { method: 'DELETE' })
    change(tag, [NOTHING])
  }

  async function deleteManifest(): Promise<void> {
    const [digest] = kept.keys()
    const isCertain = TAGS.every((tag) => shows(tag).size === 1)
    if (digest === undefined || !isCertain) return
    kept.delete(digest)
    together = TAGS.filter((tag) => shows(tag).has(digest))
    for (const tag of together) tags.set(tag, new Set([digest, NOTHING]))
    // Without a tag it may have been collected.
    const expected = together.length === 0 ? [202, 404] : [202]
    await call(`/manifests/${digest}`, expected, { method: 'DELETE' })
    for (const tag of together) tags.set(tag, new Set([NOTHING]))
    together = []
    gone.add(digest)
  }

  /** One more chunk of an upload, or its end; from the offset that the node tells. */
  async function goOnUploading(): Promise<void> {
    upload ??= await beginUpload()
    const { location, blob } = upload
    // A session of which no chunk was acknowledged does not outlive the node.
    const mayBeGone = upload.isClosing || upload.acknowledged === 0
    const status = await call(location, mayBeGone ? [204, 404] : [204])
    if (status.status === 404) {
      upload = undefined
      return
    }
    const offset = offsetOf(status)
    if (!upload.isClosing && offset < upload.acknowledged) {
      throw new Error(`${location}: ${upload.acknowledged} acknowledged, the node has ${offset}`)
    }
    const end = Math.min(blob.bytes.length, offset + (1 + random.below(KIB)) * KIB)
    const body = Uint8Array.from(blob.bytes.subarray(offset, end))
    const headers = { 'content-range': `${offset}-${end - 1}` }
    if (offset < end) await call(location, [202], { method: 'PATCH', body, headers })
    upload = { location, blob, acknowledged: end, isClosing: end === blob.bytes.length }
    if (!upload.isClosing) return
    await call(`${location}?digest=${blob.digest}`, [201], { method: 'PUT' })
    upload = undefined
    await call(`/blobs/${blob.digest}`, [200], { method: 'HEAD' })
  }

  async function beginUpload(): Promise<Upload> {
    made += 1
    const size = (KIB + random.below(7 * KIB)) * KIB
    const blob = makeBlob(bytesOf(`${name} upload ${made}`, size))
    const answer = await call('/blobs/uploads/', [202], { method: 'POST' })
    const location = `${url}${answer.headers.get('location')}`
    return { location, blob, acknowledged: 0, isClosing: false }
  }

  const steps = [pushTag, pushTag, pushTag, deleteTag, deleteManifest, goOnUploading, goOnUploading]

  /** What a tag shows is one of what it may show, whole, and is the only thing it may show from now on. */
  async function checkTag(tag: string): Promise<void> {
    const digest = (await digestAt(url, repository, tag)) ?? NOTHING
    const allowed = shows(tag)
    if (!allowed.has(digest)) {
      throw new Error(`${repository}:${tag} shows ${digest}, expected ${[...allowed].join(' or ')}`)
    }
    tags.set(tag, new Set([digest]))
    const image = images.get(digest)
    if (image !== undefined) await comparePull(url, repository, tag, image)
  }

  async function check({ isCollected }: { readonly isCollected: boolean }): Promise<void> {
    await Promise.all(TAGS.map(checkTag))
    if (new Set(together.flatMap((tag) => [...shows(tag)])).size > 1) {
      throw new Error(`${repository}: one delete hid some of ${together.join(', ')}, not all`)
    }
    together = []
    const shown = new Set(TAGS.flatMap((tag) => [...shows(tag)]))
    if (isCollected) for (const digest of kept.keys()) if (!shown.has(digest)) kept.delete(digest)
    for (const [digest, image] of kept) await comparePull(url, repository, digest, image)
    for (const digest of gone) await call(`/manifests/${digest}`, [404], { method: 'HEAD' })
    for (const digest of [...kept.keys()].slice(0, -MAX_KEPT)) kept.delete(digest)
    for (const digest of [...gone].slice(0, -MAX_KEPT)) gone.delete(digest)
    for (const digest of images.keys()) if (!shown.has(digest)) images.delete(digest)
  }

  return {
    repository,
    acknowledged: () => acknowledged,
    shown: () =>
      new Map(
        TAGS.flatMap((tag) => {
          const [digest = NOTHING] = shows(tag)
          return digest === NOTHING ? [] : [[tag, digest] as const]
        }),
      ),
    run: async () => {
      try {
        for (;;) {
          await random.pick(steps)()
          acknowledged += 1
        }
      } catch (err) {
        if (!(err instanceof NodeGone)) throw err
      }
    },
    check,
  }
}

/** Bytes that the node has of an upload: `Range: 0-0` says none or one, and both can be sent again. */
function offsetOf(answer: Response): number {
  const last = Number(answer.headers.get('range')?.split('-')[1])
  return last === 0 ? 0 : last + 1
}

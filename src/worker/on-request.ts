/**
 * What comes when a client asks for it: a manifest is fetched at once, its image becomes a job, and blobs are read while they
 * arrive. Only parts of images that the mesh knows by a tag come so.
 */
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { type Child, type Descriptor, parseManifest } from '../oci/manifest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { OnRequest } from '../registry/request.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { ContentReader, StoredManifest } from '../storage/content.ts'
import type { Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import { hasPlatform, unitePlatforms } from '../topology/platforms.ts'
import type { Platforms } from '../topology/topology.ts'
import type { Fetcher } from '../transfer/fetcher.ts'
import { createFlights } from '../transfer/flights.ts'
import { readArriving } from './arriving.ts'
import type { Pulls } from './pulls.ts'

export interface OnRequestDeps {
  readonly ledger: Pick<Ledger, 'entry'>
  readonly demands: Demands
  readonly naming: Naming
  readonly content: Pick<ContentReader, 'readManifest'>
  readonly fetcher: Fetcher
  readonly pulls: Pulls
  /** Whether the storage budget leaves room for what nobody must hold. */
  readonly hasRoom: () => boolean
  readonly blobs: Pick<BlobStore, 'read' | 'openStaged'>
  readonly clock: Clock
  readonly logger: Logger
}

/** So long a client waits for a manifest, milliseconds: containerd and docker give up after 15 s and more. */
const MANIFEST_WAIT_MS = 10_000
/** Images asked for lately, whose parts are known: some kilobytes each. */
const MAX_IMAGES = 500

/** An image that was asked for, as far as its manifests are known. */
interface Image {
  readonly key: RecordKey
  readonly root: Digest
  /** What of it may come so. */
  readonly platforms: Platforms
  readonly manifests: Map<Digest, StoredManifest>
  readonly children: Map<Digest, Child>
  readonly blobs: Map<Digest, Descriptor>
}

export function createOnRequest(deps: OnRequestDeps): OnRequest {
  const { ledger, demands, naming, content, fetcher, pulls, clock, logger } = deps
  /** By repository and digest; the one asked for longest ago goes first. */
  const images = new Map<string, Image>()
  const flights = createFlights<StoredManifest | undefined>()

  /** The image that a tag shows by its newest record, if a client's word brings it here. */
  async function imageOf(key: RecordKey): Promise<Image | undefined> {
    const visible = visibleOf(ledger.entry(key)?.history ?? [])
    if (visible === undefined || !deps.hasRoom()) return undefined
    const { digest } = visible.record
    const demand = await demands.of(itemOf(key, visible.record), naming)
    // What is to be held all the same may be asked for before it is here.
    const platforms = unitePlatforms(demand?.onRequest, demand?.held)
    if (demand?.onRequest === undefined || platforms === undefined) return undefined
    const name = `${key.repository}@${digest}`
    const known = images.get(name)
    const parts = { manifests: new Map(), children: new Map(), blobs: new Map() }
    const image = { ...(known ?? parts), key, root: digest, platforms }
    images.delete(name)
    images.set(name, image)
    const [oldest] = images.keys()
    if (images.size > MAX_IMAGES && oldest !== undefined) images.delete(oldest)
    return image
  }

  async function load(image: Image, digest: Digest): Promise<StoredManifest | undefined> {
    const { repository } = image.key
    const stop = new AbortController()
    const over = new AbortController()
    const late = new DOMException(`no answer within ${MANIFEST_WAIT_MS} ms`, 'TimeoutError')
    clock.sleep(MANIFEST_WAIT_MS, { signal: over.signal }).then(
      () => stop.abort(late),
      () => {},
    )
    const fly = async (signal: AbortSignal) => {
      const stored = await content.readManifest(repository, digest)
      if (stored !== undefined) return stored
      const { root, platforms } = image
      const pull = await fetcher.manifest(repository, { digest: root, platforms }, digest, {
        signal,
      })
      if (pull.kind === 'pulled')
        return { digest, mediaType: pull.manifest.mediaType, bytes: pull.bytes }
      logger.warn({ repository, digest, reason: pull.reason }, 'manifest asked for did not come')
      return undefined
    }
    try {
      return await flights.join(`${repository}@${digest}`, fly, stop.signal)
    } catch (err) {
      logger.warn({ repository, digest, reason: messageOf(err) }, 'manifest asked for is late')
      return undefined
    } finally {
      over.abort()
    }
  }

  /** A manifest of the image: the root, or a part of what is known of it. */
  async function bring(image: Image, digest: Digest): Promise<StoredManifest | undefined> {
    const known = image.manifests.get(digest)
    if (known !== undefined) return known
    const child = image.children.get(digest)
    if (digest !== image.root && child === undefined) return undefined
    if (!hasPlatform(image.platforms, child?.platform)) return undefined
    const found = await load(image, digest)
    const parse = found && parseManifest(found.bytes, found.mediaType)
    if (found === undefined || parse?.kind !== 'parsed') return undefined
    image.manifests.set(digest, found)
    for (const one of parse.manifest.manifests) image.children.set(one.digest, one)
    for (const blob of parse.manifest.blobs) image.blobs.set(blob.digest, blob)
    // An index alone brings nothing: which of its images is meant shows when that one is asked for.
    if (parse.manifest.manifests.length === 0) askFor(image, child)
    return found
  }

  /** So that it is here and shown once all of it has come, also when the client leaves. */
  function askFor({ key, root }: Image, child: Child | undefined): void {
    const held = ledger.entry(key)?.held
    const before = held?.digest === root ? held.coverage : undefined
    const one = child?.platform === undefined ? 'all' : [child.platform]
    pulls.ask(key, unitePlatforms(before, one)).catch((err: unknown) => {
      logger.warn({ err, key }, 'image asked for is not noted: it is fetched when it is asked for')
    })
  }

  async function byDigest(
    repository: RepositoryName,
    digest: Digest,
  ): Promise<StoredManifest | undefined> {
    for (const image of images.values()) {
      if (image.key.repository !== repository) continue
      const found = await bring(image, digest)
      if (found !== undefined) return found
    }
    for await (const reference of naming.tagsNaming(repository, digest)) {
      const image = await imageOf({ repository, reference })
      if (image === undefined || (await bring(image, image.root)) === undefined) continue
      const found = await bring(image, digest)
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    manifest: async (repository, reference) => {
      if (isDigest(reference)) return byDigest(repository, reference)
      const key = { repository, reference }
      const image = await imageOf(key)
      if (image === undefined || ledger.entry(key)?.held?.digest === image.root) return undefined
      return bring(image, image.root)
    },
    blob: (repository, digest) => {
      for (const image of images.values()) {
        const blob = image.key.repository === repository ? image.blobs.get(digest) : undefined
        if (blob === undefined) continue
        const { root, platforms } = image
        const target = { repository, image: { digest: root, platforms }, blob }
        return {
          size: blob.size,
          read: (range, signal) => readArriving(deps, target, range, signal),
        }
      }
      return undefined
    },
  }
}

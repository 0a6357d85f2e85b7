/**
 * What comes when a client asks for it: a manifest is fetched at once, its image becomes a job, and blobs are read while they
 * arrive. Only parts of images that the mesh knows by a tag come so.
 */
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { type Child, parseManifest } from '../oci/manifest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import type { OnRequest } from '../registry/request.ts'
import type { Asked } from '../storage/asked.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { ContentReader, StoredManifest } from '../storage/content.ts'
import type { Damage } from '../storage/damage.ts'
import type { Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import { coversPlatforms, hasPlatform, unitePlatforms } from '../topology/platforms.ts'
import type { NodeName } from '../topology/topology.ts'
import type { AskingSource } from '../transfer/asking-source.ts'
import type { Fetcher } from '../transfer/fetcher.ts'
import { createFlights } from '../transfer/flights.ts'
import { readArriving } from './arriving.ts'
import { type AskedImage, createAskedImages } from './asked-images.ts'
import type { Pulls } from './pulls.ts'

export interface OnRequestDeps {
  readonly ledger: Pick<Ledger, 'entry'>
  readonly demands: Demands
  readonly naming: Naming
  readonly content: Pick<ContentReader, 'readManifest'>
  readonly self: NodeName
  readonly fetcher: Fetcher
  /** Whether one of these nodes is asked for it now. */
  readonly isAsking: AskingSource['isAsking']
  readonly pulls: Pulls
  readonly asked: Pick<Asked, 'of'>
  /** Whether the storage budget leaves room for what nobody must hold. */
  readonly hasRoom: () => boolean
  readonly blobs: Pick<BlobStore, 'read' | 'openStaged'>
  readonly damage: Pick<Damage, 'has'>
  readonly clock: Clock
  readonly logger: Logger
}

/** So long a client waits for a manifest, milliseconds: containerd and docker give up after 15 s and more. */
const MANIFEST_WAIT_MS = 10_000

/** One request: how long it waits, and which nodes wait for it. */
interface Ask {
  readonly signal: AbortSignal
  readonly asking: readonly NodeName[]
}

/** Once it is disposed of nothing is brought, and what is under way for clients ends. */
export function createOnRequest(deps: OnRequestDeps): OnRequest & Disposable {
  const { ledger, demands, naming, content, fetcher, pulls, asked, clock, logger } = deps
  const stop = new AbortController()
  const images = createAskedImages()
  const flights = createFlights<StoredManifest | undefined>()
  /** Words that are not noted yet: as many as clients ask for at once. */
  const words = new Set<string>()

  /** The image that a tag shows by its newest record, if a client's word brings it here. */
  async function imageOf(key: RecordKey): Promise<AskedImage | undefined> {
    const visible = visibleOf(ledger.entry(key)?.history ?? [])
    if (visible === undefined) return undefined
    const { digest } = visible.record
    const demand = await demands.of(itemOf(key, visible.record), naming)
    // What is to be held all the same may be asked for before it is here.
    const platforms = unitePlatforms(demand?.onRequest, demand?.held)
    if (demand?.onRequest === undefined || platforms === undefined) return undefined
    return images.note({ key, root: digest, platforms })
  }

  async function load(
    image: AskedImage,
    digest: Digest,
    { signal, asking: waiting }: Ask,
  ): Promise<StoredManifest | undefined> {
    const { repository } = image.key
    // One of those who wait for this answer is asked for it right now, and would wait for us: another source can help it.
    if (deps.isAsking(digest, waiting)) return undefined
    const fly = async (flight: AbortSignal) => {
      const stored = await content.readManifest(repository, digest)
      if (stored !== undefined) return stored
      const { root, platforms } = image
      const pull = await fetcher.manifest(repository, { digest: root, platforms }, digest, {
        signal: flight,
        asking: waiting,
      })
      if (pull.kind === 'pulled')
        return { digest, mediaType: pull.manifest.mediaType, bytes: pull.bytes }
      logger.warn({ repository, digest, reason: pull.reason }, 'manifest asked for did not come')
      return undefined
    }
    try {
      return await flights.join(`${repository}@${digest}`, fly, signal)
    } catch (err) {
      logger.warn({ repository, digest, reason: messageOf(err) }, 'manifest asked for is late')
      return undefined
    }
  }

  /** A manifest of the image: the root, or a part of what is known of it. */
  async function bring(
    image: AskedImage,
    digest: Digest,
    ask: Ask,
  ): Promise<StoredManifest | undefined> {
    const { parts } = image
    const child = parts.children.get(digest)
    if (digest !== image.root && child === undefined) return undefined
    if (!hasPlatform(image.platforms, child?.platform)) return undefined
    const isNew = !parts.manifests.has(digest)
    if (isNew && !deps.hasRoom()) return undefined
    const found = parts.manifests.get(digest) ?? (await load(image, digest, ask))
    const parse = found && parseManifest(found.bytes, found.mediaType)
    if (found === undefined || parse?.kind !== 'parsed') return undefined
    images.keep(image, found, parse.manifest)
    // An index alone brings nothing: which of its images is meant shows when that one is asked for.
    if (parse.manifest.manifests.length === 0) askFor(image, child, isNew)
    return found
  }

  /** So that it is here and shown once all of it has come, also when the client leaves, and again after it was evicted. */
  function askFor({ key, root }: AskedImage, child: Child | undefined, isNew: boolean): void {
    const one = child?.platform === undefined ? 'all' : [child.platform]
    const noted = asked.of(key, root)
    if (!isNew && noted !== undefined && coversPlatforms(noted, one)) return
    const word = `${keyText(key)} ${root} ${String(one)}`
    if (words.has(word) || !deps.hasRoom()) return
    words.add(word)
    const held = ledger.entry(key)?.held
    const before = held?.digest === root ? held.coverage : undefined
    pulls
      .ask(key, unitePlatforms(before, one))
      .catch((err: unknown) => {
        const message = 'image asked for is not noted: it is fetched when it is asked for'
        logger.warn({ err, key }, message)
      })
      .finally(() => words.delete(word))
  }

  async function byDigest(
    repository: RepositoryName,
    digest: Digest,
    ask: Ask,
  ): Promise<StoredManifest | undefined> {
    for (const image of images.naming(repository, digest)) {
      const found = await bring(image, digest, ask)
      if (found !== undefined) return found
    }
    const absent = new Set<Digest>()
    for await (const reference of naming.tagsNaming(repository, digest)) {
      if (ask.signal.aborted) return undefined
      const image = await imageOf({ repository, reference })
      // Many tags may show one image: it is not asked for again and again.
      if (image === undefined || absent.has(image.root)) continue
      if ((await bring(image, image.root, ask)) === undefined) absent.add(image.root)
      const found = absent.has(image.root) ? undefined : await bring(image, digest, ask)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Asked before anything else: most of what is asked for is here, and is not to push out of memory what is on its way. */
  function isAbsent(key: RecordKey): boolean {
    const entry = ledger.entry(key)
    const newest = visibleOf(entry?.history ?? [])?.record.digest
    return newest !== undefined && entry?.held?.digest !== newest
  }

  async function byTag(key: RecordKey, ask: Ask): Promise<StoredManifest | undefined> {
    const image = await imageOf(key)
    return image && bring(image, image.root, ask)
  }

  /** All that one request waits for, however many sources and images are tried. */
  async function inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const over = new AbortController()
    const reason = new DOMException(`no answer within ${MANIFEST_WAIT_MS} ms`, 'TimeoutError')
    clock.sleep(MANIFEST_WAIT_MS, { signal: over.signal }).then(
      () => late.abort(reason),
      () => {},
    )
    try {
      return await work(AbortSignal.any([late.signal, stop.signal]))
    } finally {
      over.abort()
    }
  }

  return {
    manifest: async (repository, reference, waiting = []) => {
      const asking = waiting as readonly NodeName[]
      if (asking.includes(deps.self)) return undefined
      if (isDigest(reference)) {
        return inTime((signal) => byDigest(repository, reference, { signal, asking }))
      }
      const key = { repository, reference }
      return isAbsent(key) ? inTime((signal) => byTag(key, { signal, asking })) : undefined
    },
    blob: (repository, digest, waiting = []) => {
      const asking = waiting as readonly NodeName[]
      if (asking.includes(deps.self) || deps.isAsking(digest, asking)) return undefined
      const found = images.withBlob(repository, digest)
      if (found === undefined) return undefined
      const { root, platforms } = found.image
      const target = { repository, image: { digest: root, platforms }, blob: found.blob, asking }
      return {
        size: found.blob.size,
        read: (range, signal) =>
          readArriving(deps, target, range, AbortSignal.any([signal, stop.signal])),
      }
    },
    [Symbol.dispose]: () =>
      stop.abort(new DOMException('the node stops, or takes up another topology', 'AbortError')),
  }
}

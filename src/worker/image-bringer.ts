/** Brings manifests of images that the mesh knows by a record: fetched at once and kept in memory; their image becomes a job. */
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { type Child, parseManifest } from '../oci/manifest.ts'
import { isDigest } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import type { Asked } from '../storage/asked.ts'
import type { ContentReader, StoredManifest } from '../storage/content.ts'
import type { Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import { coversPlatforms, hasPlatform, unitePlatforms } from '../topology/platforms.ts'
import type { NodeName } from '../topology/topology.ts'
import type { AskingSource } from '../transfer/asking-source.ts'
import type { Fetcher } from '../transfer/fetcher.ts'
import { type AskedImage, type AskedImages, createAskedImages } from './asked-images.ts'
import { createOrderedFlights } from './ordered-flights.ts'
import type { Pulls } from './pulls.ts'

export interface ImageBringerDeps {
  readonly ledger: Pick<Ledger, 'entry'>
  readonly demands: Demands
  readonly naming: Naming
  readonly content: Pick<ContentReader, 'readManifest'>
  readonly self: NodeName
  readonly fetcher: Pick<Fetcher, 'manifest'>
  /** Whether one of these nodes is asked for it now. */
  readonly isAsking: AskingSource['isAsking']
  readonly pulls: Pulls
  readonly asked: Pick<Asked, 'of'>
  /** Whether the storage budget leaves room for what nobody must hold. */
  readonly hasRoom: () => boolean
  readonly logger: Logger
}

/** One request: how long it waits, and which nodes wait for it. */
export interface Ask {
  readonly signal: AbortSignal
  readonly asking: readonly NodeName[]
  /** Only the manifest is wanted: its image is not brought for that. */
  readonly isLook: boolean
}

export interface ImageBringer {
  readonly images: Pick<AskedImages, 'naming' | 'withBlob'>
  /** Also by indexes that are only in memory yet. */
  readonly naming: Naming
  /** The image that the newest record of the key names, if a client's word brings it here. */
  imageOf(key: RecordKey): Promise<AskedImage | undefined>
  /** A manifest of the image: the root, or a part of what is known of it. */
  bring(image: AskedImage, digest: Digest, ask: Ask): Promise<StoredManifest | undefined>
  /** A blob of this manifest of the image was asked for: who knows the manifest from elsewhere asks for nothing else. */
  wanted(image: AskedImage, manifest: Digest): void
}

export function createImageBringer(deps: ImageBringerDeps): ImageBringer {
  const { ledger, demands, content, fetcher, pulls, asked, logger } = deps
  const images = createAskedImages()
  const flights = createOrderedFlights<StoredManifest | undefined>(deps)
  /** Words that are not noted yet: as many as clients ask for at once. */
  const words = new Set<string>()

  const newestOf = (key: RecordKey) => visibleOf(ledger.entry(key)?.history ?? [])?.record

  const naming: Naming = {
    tagsNaming: async function* (repository, digest) {
      yield* deps.naming.tagsNaming(repository, digest)
      for (const { key, root } of images.naming(repository, digest)) {
        if (!isDigest(key.reference) && newestOf(key)?.digest === root) yield key.reference
      }
    },
  }

  async function load(
    { key: { repository }, root, platforms }: AskedImage,
    digest: Digest,
    { signal, asking, isLook }: Ask,
  ): Promise<StoredManifest | undefined> {
    // One of those who wait for this answer is asked for it right now, and would wait for us: another source can help it.
    if (deps.isAsking(digest, asking)) return undefined
    const fly = async (flight: AbortSignal) => {
      const stored = await content.readManifest(repository, digest)
      if (stored !== undefined) return stored
      const options = { signal: flight, asking, isLook }
      const pull = await fetcher.manifest(repository, { digest: root, platforms }, digest, options)
      if (pull.kind === 'pulled')
        return { digest, mediaType: pull.manifest.mediaType, bytes: pull.bytes }
      logger.warn({ repository, digest, reason: pull.reason }, 'manifest asked for did not come')
      return undefined
    }
    try {
      return await flights.join(`${repository}@${digest}`, asking, fly, signal)
    } catch (err) {
      logger.warn({ repository, digest, reason: messageOf(err) }, 'manifest asked for is late')
      return undefined
    }
  }

  /** So that it is here and shown once all of it has come, also when the client leaves, and again after it was evicted. */
  function askFor({ key, root }: AskedImage, child: Child | undefined, isNew: boolean): void {
    // Who pulls what a tag has left gets it, and nobody asked for what the tag shows now.
    if (newestOf(key)?.digest !== root) return
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

  return {
    images,
    naming,
    imageOf: async (key) => {
      const record = newestOf(key)
      if (record === undefined) return undefined
      const demand = await demands.of(itemOf(key, record), naming)
      // What is to be held all the same may be asked for before it is here.
      const platforms = unitePlatforms(demand?.onRequest, demand?.held)
      if (demand?.onRequest === undefined || platforms === undefined) return undefined
      return images.note({ key, root: record.digest, platforms })
    },
    bring: async (image, digest, ask) => {
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
      if (parse.manifest.manifests.length === 0 && !ask.isLook) askFor(image, child, isNew)
      return found
    },
    wanted: (image, manifest) => askFor(image, image.parts.children.get(manifest), false),
  }
}

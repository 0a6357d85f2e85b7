/**
 * What comes when a client asks for it: a manifest is fetched at once, its image becomes a job, and blobs are read while they
 * arrive. Only parts of images that the mesh knows by a record come so.
 */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { BroughtManifest, OnRequest } from '../registry/request.ts'
import type { ContentReader } from '../storage/content.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Fetcher } from '../transfer/fetcher.ts'
import { type ArrivingDeps, readArriving } from './arriving.ts'
import { type Ask, createImageBringer, type ImageBringerDeps } from './image-bringer.ts'
import { createIndexSearches } from './index-searches.ts'
import { createRequestLists, type RequestListsDeps } from './request-lists.ts'

export interface OnRequestDeps
  extends ImageBringerDeps,
    Omit<RequestListsDeps, 'bringer'>,
    ArrivingDeps {
  readonly ledger: Pick<Ledger, 'entry' | 'entriesOf'>
  readonly content: Pick<ContentReader, 'readManifest' | 'missingPart'>
  readonly fetcher: Pick<Fetcher, 'manifest' | 'blob'>
  /** Whether a policy brings this node something of the repository on request. */
  readonly isLazy: (repository: RepositoryName) => boolean
  readonly clock: Clock
}

/** So long a client waits for a manifest, milliseconds: containerd and docker give up after 15 s and more. */
const MANIFEST_WAIT_MS = 10_000

/** Once it is disposed of nothing is brought, and what is under way for clients ends. */
export function createOnRequest(deps: OnRequestDeps): OnRequest & Disposable {
  const { ledger, clock } = deps
  const stop = new AbortController()
  const bringer = createImageBringer(deps)
  const { images, imageOf, bring } = bringer
  const lists = createRequestLists({ ...deps, bringer })
  const searches = createIndexSearches(deps)

  async function byDigest(
    repository: RepositoryName,
    digest: Digest,
    ask: Ask,
  ): Promise<BroughtManifest | undefined> {
    const known = images.naming(repository, digest)
    for (const image of known) {
      const found = await bring(image, digest, ask)
      if (found !== undefined) return { ...found, root: image.root }
    }
    const part = await byTags(repository, digest, digest, ask)
    if (part !== undefined) return part
    // What an index here names comes with it, or is of a platform that does not come.
    if (known.length > 0 || deps.content.missingPart(repository, digest) !== undefined)
      return undefined
    // A signature has a record of its own, and so has what comes without a tag.
    const own = await imageOf({ repository, reference: digest })
    const found = own && (await bring(own, digest, ask))
    if (found !== undefined) return { ...found, root: digest }
    for (const index of await searches.indexesNaming(repository, digest, ask)) {
      const child = await byTags(repository, index, digest, ask)
      if (child !== undefined) return child
    }
    return undefined
  }

  /** The manifest as a part of an image that a tag shows, of those that name `named`. */
  async function byTags(
    repository: RepositoryName,
    named: Digest,
    digest: Digest,
    ask: Ask,
  ): Promise<BroughtManifest | undefined> {
    const absent = new Set<Digest>()
    for await (const reference of deps.naming.tagsNaming(repository, named)) {
      if (ask.signal.aborted) return undefined
      const image = await imageOf({ repository, reference })
      // Many tags may show one image: it is not asked for again and again.
      if (image === undefined || absent.has(image.root)) continue
      const { root } = image
      const isThere = root === digest || (await bring(image, root, { ...ask, isLook: true }))
      const found = isThere && (await bring(image, digest, ask))
      if (found) return { ...found, root }
      absent.add(root)
    }
    return undefined
  }

  /** Asked before anything else: most of what is asked for is here, and is not to push out of memory what is on its way. */
  function isAbsent(key: RecordKey): boolean {
    const entry = ledger.entry(key)
    const newest = visibleOf(entry?.history ?? [])?.record.digest
    return newest !== undefined && entry?.held?.digest !== newest
  }

  async function byTag(key: RecordKey, ask: Ask): Promise<BroughtManifest | undefined> {
    const image = await imageOf(key)
    const found = image && (await bring(image, image.root, ask))
    return found && { ...found, root: found.digest }
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
    manifest: async (repository, reference, waiting = [], { isLook = false } = {}) => {
      const asking = waiting as readonly NodeName[]
      if (asking.includes(deps.self) || !deps.isLazy(repository)) return undefined
      const ask = { asking, isLook }
      if (isDigest(reference))
        return inTime((signal) => byDigest(repository, reference, { ...ask, signal }))
      const key = { repository, reference }
      return isAbsent(key) ? inTime((signal) => byTag(key, { ...ask, signal })) : undefined
    },
    tags: async (repository, page) => (deps.isLazy(repository) ? lists.tags(repository, page) : []),
    referrers: async (repository, subject, waiting = []) => {
      const asking = waiting as readonly NodeName[]
      if (asking.includes(deps.self) || !deps.isLazy(repository)) return []
      return inTime((signal) =>
        lists.referrers(repository, subject, { signal, asking, isLook: true }),
      )
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
        read: (range, signal) => {
          bringer.wanted(found.image, found.of)
          return readArriving(deps, target, range, AbortSignal.any([signal, stop.signal]))
        },
      }
    },
    [Symbol.dispose]: () =>
      stop.abort(new DOMException('the node stops, or takes up another topology', 'AbortError')),
  }
}

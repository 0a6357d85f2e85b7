/** Manifests and indexes: what a manifest needs beside it. Bytes are never rewritten, only read. */
import { z } from 'zod'
import { type Digest, parseDigest } from './digest.ts'

/** Media types whose documents have children of kind `manifest`; every other known one has blobs. */
const INDEX_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])
const IMAGE_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
])

export const MANIFEST_MEDIA_TYPES: readonly string[] = [...INDEX_TYPES, ...IMAGE_TYPES]

/** Largest manifest accepted, bytes: the bound that distribution, zot and the conformance suite use. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/** A manifest that an index names. */
export interface Child extends Descriptor {
  /** `os/arch` or `os/arch/variant`; of an attestation that of the image it is about. Absent where the index says nothing. */
  readonly platform?: string
}

export interface Manifest {
  readonly mediaType: string
  /** Manifests that an index names; empty for an image manifest. */
  readonly manifests: readonly Child[]
  /** Config and layers, in order, without layers that may not be distributed. */
  readonly blobs: readonly Descriptor[]
  /** The manifest that this one is about (signature, SBOM): it does not have to exist. */
  readonly subject?: Digest
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export type ManifestParse =
  | { readonly kind: 'parsed'; readonly manifest: Manifest }
  | { readonly kind: 'invalid'; readonly reason: string }

const DESCRIPTOR = z.looseObject({
  mediaType: z.string().max(255),
  digest: z.string().transform((text, context) => {
    const digest = parseDigest(text)
    if (digest !== undefined) return digest
    context.addIssue({ code: 'custom', message: 'expected a sha256 or sha512 digest' })
    return z.NEVER
  }),
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
})

/** What is wrong in these fields makes no manifest invalid: they count as absent. */
const CHILD = DESCRIPTOR.extend({
  platform: z
    .looseObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .optional()
    .catch(undefined),
  annotations: z.record(z.string(), z.unknown()).optional().catch(undefined),
})

const DOCUMENT = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().max(255).optional(),
  artifactType: z.string().max(255).optional(),
  config: DESCRIPTOR.optional(),
  // Encoders of other languages write an empty list as null.
  layers: z.array(DESCRIPTOR).nullish(),
  manifests: z.array(CHILD).nullish(),
  subject: DESCRIPTOR.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})

/**
 * Reads a manifest's bytes. `contentType` is the type it was pushed with; the document's own `mediaType`, where
 * present, must agree with it. Unknown fields are allowed and stay in the bytes.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ManifestParse {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return { kind: 'invalid', reason: 'expected a JSON document in UTF-8' }
  }
  const parsed = DOCUMENT.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { kind: 'invalid', reason: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` }
  }
  const document = parsed.data
  const mediaType = contentType ?? document.mediaType ?? guessMediaType(document)
  if (!INDEX_TYPES.has(mediaType) && !IMAGE_TYPES.has(mediaType)) {
    const expected = MANIFEST_MEDIA_TYPES.join(', ')
    return { kind: 'invalid', reason: `expected a media type of ${expected}; got ${mediaType}` }
  }
  if (document.mediaType !== undefined && document.mediaType !== mediaType) {
    const reason = `pushed as ${mediaType}, but the document says ${document.mediaType}`
    return { kind: 'invalid', reason }
  }
  const reason = contradictionIn(document, INDEX_TYPES.has(mediaType))
  if (reason !== undefined) return { kind: 'invalid', reason }
  return { kind: 'parsed', manifest: toManifest(document, mediaType) }
}

/** A document that is an image to one client and an index to another is refused (CVE-2021-41190). */
function contradictionIn(document: z.infer<typeof DOCUMENT>, isIndex: boolean): string | undefined {
  const { config, layers, manifests } = document
  const isImageToo = config !== undefined || (layers ?? undefined) !== undefined
  if (isImageToo && (manifests ?? undefined) !== undefined) {
    return 'expected an image manifest or an index, got both: "manifests" beside "config" or "layers"'
  }
  if (isIndex && manifests === undefined) return 'an index needs a list "manifests"'
  if (!isIndex && config === undefined) return 'an image manifest needs a "config"'
  return undefined
}

function toManifest(document: z.infer<typeof DOCUMENT>, mediaType: string): Manifest {
  const isIndex = INDEX_TYPES.has(mediaType)
  const blobs = isIndex ? [] : [document.config, ...(document.layers ?? [])]
  const artifactType = document.artifactType ?? (isIndex ? undefined : document.config?.mediaType)
  return {
    mediaType,
    manifests: isIndex ? childrenOf(document.manifests ?? []) : [],
    blobs: blobs.filter((blob) => blob !== undefined && isDistributable(blob.mediaType)).map(pick),
    ...(document.subject === undefined ? {} : { subject: document.subject.digest }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
  }
}

function pick(descriptor: Descriptor | undefined): Descriptor {
  const { mediaType, digest, size } = descriptor as Descriptor
  return { mediaType, digest, size }
}

/** The annotation by which BuildKit's attestations, which stand in the index with a platform `unknown/unknown`, name their image. */
const ABOUT_IMAGE = 'vnd.docker.reference.digest'

function childrenOf(descriptors: readonly z.infer<typeof CHILD>[]): readonly Child[] {
  const platforms = new Map(descriptors.map((one) => [one.digest as string, platformOf(one)]))
  return descriptors.map((one) => {
    const platform = platformOf(one) ?? platforms.get(String(one.annotations?.[ABOUT_IMAGE]))
    return platform === undefined ? pick(one) : { ...pick(one), platform }
  })
}

function platformOf({ platform }: z.infer<typeof CHILD>): string | undefined {
  if (platform === undefined || platform.os === 'unknown') return undefined
  const { os, architecture, variant } = platform
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}

/** Layers that clients fetch from elsewhere need not be here (image-spec "Non-Distributable Layers", Docker's foreign layers). */
function isDistributable(mediaType: string): boolean {
  return !mediaType.includes('nondistributable') && !mediaType.includes('.foreign.')
}

function guessMediaType(document: z.infer<typeof DOCUMENT>): string {
  return (document.manifests ?? undefined) === undefined
    ? 'application/vnd.oci.image.manifest.v1+json'
    : 'application/vnd.oci.image.index.v1+json'
}

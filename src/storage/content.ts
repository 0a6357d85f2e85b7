/** Content: what this node serves, repository by repository. Children first, one durable commit, then it is visible. */
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, Manifest } from '../oci/manifest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import type { LoserTag } from '../record/losers.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Platforms } from '../topology/topology.ts'
import type { Transaction } from './index-db.ts'

export interface StoredManifest {
  readonly digest: Digest
  readonly mediaType: string
  /** Exactly as pushed. */
  readonly bytes: Uint8Array
}

export interface ManifestStat {
  readonly digest: Digest
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
}

/** A manifest that an index here names, and that is not here itself. */
export interface MissingPart {
  readonly index: Digest
  /** Of the manifest, where the index says it. */
  readonly platform: string | undefined
  /** Of the index, sorted: those whose images are here. */
  readonly here: readonly string[]
}

export interface Page {
  /** Only names greater than this one. */
  readonly after?: string | undefined
  readonly limit: number
}

/** What readers may ask. */
export interface ContentReader {
  statManifest(repository: RepositoryName, reference: Reference): Promise<ManifestStat | undefined>
  readManifest(
    repository: RepositoryName,
    reference: Reference,
  ): Promise<StoredManifest | undefined>
  /** A blob that this repository may serve: linked here, and on disk. */
  statBlob(
    repository: RepositoryName,
    digest: Digest,
  ): Promise<{ readonly size: number } | undefined>
  /** Repositories that may serve the blob, among the first `within` that have blobs. */
  repositoriesOf(
    digest: Digest,
    options: { readonly within: number },
  ): AsyncIterable<RepositoryName>
  /** Of a manifest that is not here while an index is that names it: which index, and what of it is here. */
  missingPart(repository: RepositoryName, digest: Digest): MissingPart | undefined
  /** Indexes here that have the manifest as a child, and those that have them, nearest first: some, where there are many. */
  indexesNaming(repository: RepositoryName, digest: Digest): readonly Digest[]
  /** Whether the repository exists: it has a manifest. */
  hasRepository(repository: RepositoryName): boolean
  /** Names in order. */
  tags(repository: RepositoryName, page: Page): Promise<readonly Tag[]>
  repositories(page: Page): Promise<readonly RepositoryName[]>
  /**
   * Manifests whose subject is `subject`, as descriptors with artifactType and annotations, in the order of their digests.
   * One at a time: their annotations may be megabytes each.
   */
  referrers(
    repository: RepositoryName,
    subject: Digest,
    options?: ReferrerOptions,
  ): AsyncIterable<ReferrerDescriptor>
}

export interface ReferrerOptions {
  /** Only digests greater than this one. */
  readonly after?: string | undefined
  /** Only those of this type. */
  readonly artifactType?: string | undefined
}

export interface ReferrerDescriptor extends Descriptor {
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** As a list of referrers has it (distribution-spec, "Listing Referrers"). */
export function describeReferrer(
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  { mediaType, artifactType, annotations }: Omit<ReferrerDescriptor, 'digest' | 'size'>,
): ReferrerDescriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}

export interface PushedManifest {
  readonly repository: RepositoryName
  readonly reference: Reference
  /** Further tags that the manifest gets with it, in the same commit. */
  readonly tags?: readonly Tag[]
  /** The Content-Type of the push. */
  readonly mediaType: string | undefined
  readonly bytes: Uint8Array
}

/** What a writer's clients may change. Every change is signed, durable and visible when the promise resolves. */
export interface ContentWriter {
  /**
   * @throws OciError MANIFEST_INVALID, DIGEST_INVALID (reference is another digest), MANIFEST_BLOB_UNKNOWN (a child is
   *   missing, and the node takes nothing sparse; `detail` lists them).
   */
  pushManifest(
    push: PushedManifest,
  ): Promise<{ readonly digest: Digest; readonly subject?: Digest }>
  /** A verified blob of the store becomes one that the repository may serve. @throws OciError BLOB_UNKNOWN */
  linkBlob(repository: RepositoryName, digest: Digest): Promise<void>
  /** The same of an upload that was just stored, whose size is known; `alongside` is part of the commit. */
  linkUpload(
    repository: RepositoryName,
    blob: Pick<Descriptor, 'digest' | 'size'>,
    alongside: (tx: Transaction) => void,
  ): Promise<void>
  /** @returns false when there is no such tag. */
  deleteTag(repository: RepositoryName, tag: Tag): Promise<boolean>
  /** Deletes the manifest and every tag that shows it: in one commit, where there are at most 128. @returns false when there is none. */
  deleteManifest(repository: RepositoryName, digest: Digest): Promise<boolean>
  /** The repository no longer serves the blob. @throws OciError DENIED while a manifest there names it. */
  unlinkBlob(repository: RepositoryName, digest: Digest): Promise<boolean>
}

/** A manifest fetched from another node: verified, with its children here. */
export interface PulledManifest {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly manifest: Manifest
}

export interface PulledImage {
  readonly repository: RepositoryName
  /** Children before parents; the last one is the one that the references name. */
  readonly manifests: readonly PulledManifest[]
  readonly references: readonly Reference[]
  /** For which it is complete: of an index the others may be missing. All where it is absent. */
  readonly platforms?: Platforms
}

/** What the mesh may change: content that a record names becomes visible, or goes. */
export interface ContentKeeper {
  /** One commit for the whole image. References whose newest record names another digest are left alone. */
  commitPulled(image: PulledImage): Promise<void>
  /** Shows what the newest record names, where the repository has it complete for these platforms. @returns whether it is shown now. */
  show(key: RecordKey, platforms?: Platforms): Promise<boolean>
  /**
   * Applies a delete: the node serves the reference no more. `asReader`: it may not write the repository, so that the image has no
   * other reason to be here that was pushed by digest too, unless a policy asks for it. `deletedBy`: by this record alone, not by
   * a later one.
   */
  drop(
    key: RecordKey,
    options?: { readonly asReader?: boolean; readonly deletedBy?: string },
  ): Promise<void>
  /**
   * From now on these losers of the key are served under their tags, and no others: those that are here. @returns those that
   * are not.
   */
  keepLosers(
    key: RecordKey,
    losers: readonly LoserTag[],
    platforms?: Platforms,
  ): Promise<readonly LoserTag[]>
  /** Whether the repository has the manifest and everything that it needs, of an index for these platforms. */
  isComplete(repository: RepositoryName, digest: Digest, platforms?: Platforms): boolean
}

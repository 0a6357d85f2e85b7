/** Whether a client of a reader thread may have a blob, and where its bytes are. */
import type { Access } from '../access/access.ts'
import type { BlobLeases } from '../storage/blob-leases.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { ContentReader } from '../storage/content.ts'
import type { BlobAnswer, BlobAsk } from './reader-messages.ts'

export interface BlobPermitDeps {
  readonly access: Pick<Access, 'identify' | 'may'>
  readonly blobs: Pick<BlobStore, 'pathOf'>
  readonly content: Pick<ContentReader, 'statBlob'>
  readonly leases: Pick<BlobLeases, 'touch'>
}

/** Undefined for whoever may not, and for what is not here: the registry's own route says why. */
export function createBlobPermit(
  deps: BlobPermitDeps,
): (ask: BlobAsk) => Promise<BlobAnswer | undefined> {
  const { access, blobs, content, leases } = deps
  return async ({ repository, digest, authorization, address }) => {
    const caller = access.identify({ authorization, address })
    if (caller === undefined) return undefined
    if (access.may(caller, 'pull', repository).kind !== 'allowed') return undefined
    const stat = await content.statBlob(repository, digest)
    const path = blobs.pathOf(digest)
    if (stat === undefined || path === undefined) return undefined
    leases.touch(digest)
    return { path, size: stat.size }
  }
}

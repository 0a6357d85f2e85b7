/** A writer's changes for the registry: each that is signed waits until this node has read back what it signed before. */
import type { ReadBack } from '../gossip/read-back.ts'
import { OciError } from '../oci/errors.ts'
import type { ContentWriter } from '../storage/content.ts'

/** Seconds: reading goes on meanwhile, some thousand entries a second. */
const RETRY_AFTER = '5'

export function signedChanges<T extends ContentWriter>(
  content: T,
  readBack: Pick<ReadBack, 'pass'>,
): T {
  async function pass(): Promise<void> {
    const reason = await readBack.pass()
    if (reason === undefined) return
    // The specification has no code for it; the status is what clients go by.
    const message = `${reason}; push again in a moment`
    throw new OciError('TOOMANYREQUESTS', {
      message,
      status: 503,
      headers: { 'retry-after': RETRY_AFTER },
    })
  }

  return {
    ...content,
    pushManifest: async (push) => {
      await pass()
      return content.pushManifest(push)
    },
    deleteTag: async (repository, tag) => {
      await pass()
      return content.deleteTag(repository, tag)
    },
    deleteManifest: async (repository, digest) => {
      await pass()
      return content.deleteManifest(repository, digest)
    },
  }
}

/** A storage room with its collector: graces of a day and an hour, on a clock that stands still. */
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { Rights } from '../../../src/storage/collect-manifests.ts'
import type { CollectedItem, Graces } from '../../../src/storage/collected-item.ts'
import { createCollector } from '../../../src/storage/collector.ts'
import { createUploadSessions } from '../../../src/storage/upload-sessions.ts'
import { openStorage, type StorageRigOptions } from '../../helpers/storage-rig.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const GRACES: Graces = { supersededMs: DAY_MS, unusedMs: HOUR_MS }
/** Longer than both. */
export const LONG_MS = 2 * DAY_MS

export interface CollectorRigOptions extends StorageRigOptions {
  readonly graces?: Graces
  readonly isWriter?: boolean
  readonly isWanted?: boolean
  /** As the offline command has it: no topology at hand. */
  readonly hasRights?: boolean
  readonly oldestJobMs?: () => number | undefined
}

export async function openCollector(options: CollectorRigOptions = {}) {
  const { graces = GRACES, isWriter = true, isWanted = false, hasRights = true } = options
  const storage = await openStorage({ keepMs: graces.unusedMs, ...options })
  const { blobs, index, clock, signer } = storage
  const uploads = createUploadSessions(
    { blobs, index, clock },
    { uploads: 10, uploadBytes: 1_000_000 },
  )
  const rights: Rights = {
    author: signer,
    isWriter: () => isWriter,
    isWanted: async () => isWanted,
  }
  const collector = createCollector(
    {
      ...storage,
      uploads,
      rights: hasRights ? rights : undefined,
      oldestJobMs: options.oldestJobMs ?? (() => undefined),
      random: systemRandom,
      logger: silentLogger,
    },
    graces,
  )

  async function has(repository: RepositoryName, digest: Digest): Promise<boolean> {
    return (await storage.content.statManifest(repository, digest)) !== undefined
  }

  return {
    ...storage,
    uploads,
    collector,
    has,
    /** What goes, as `kind digest`, sorted; the rest of an item is told by the tests that care. */
    collect: async (): Promise<readonly string[]> => {
      const items: CollectedItem[] = []
      await collector.collect({ onItem: (item) => void items.push(item) })
      return items.filter(({ isDue }) => isDue).map(short)
    },
    plan: async (): Promise<readonly CollectedItem[]> => {
      const items: CollectedItem[] = []
      for await (const item of collector.plan()) items.push(item)
      return items
    },
    /** A first look, so that time begins for what is unused, and then so long a time that it is over. */
    outlast: async (): Promise<void> => {
      await collector.collect()
      clock.jump(LONG_MS)
    },
    [Symbol.asyncDispose]: async () => {
      await collector[Symbol.asyncDispose]()
      await storage[Symbol.asyncDispose]()
    },
  }
}

export function short({ kind, name }: Pick<CollectedItem, 'kind' | 'name'>): string {
  return `${kind} ${name}`
}

/** What comes in for each job now, and whom it asked: watched where its parts are fetched. */
import type { Digest } from '../oci/digest.ts'
import type { Transfers } from '../peers/transfers.ts'
import { type Activity, jobId } from '../queue/job.ts'
import type { JobNotes } from '../queue/job-notes.ts'
import type { Fetcher } from '../transfer/fetcher.ts'

export interface JobActivity {
  /** Undefined while nothing is fetched for the job. */
  of(id: string): Activity | undefined
  /** The fetcher for jobs. */
  following(fetcher: Fetcher, notes: Pick<JobNotes, 'asked'>): Fetcher
}

export function createJobActivity({
  transfers,
}: {
  readonly transfers: Pick<Transfers, 'list'>
}): JobActivity {
  /** Blobs that are being fetched, by job: as many as workers fetch side by side. */
  const fetching = new Map<string, Set<Digest>>()

  return {
    of: (id) => {
      const blobs = fetching.get(id)
      if (blobs === undefined) return undefined
      const mine = transfers.list().filter(({ digest }) => blobs.has(digest))
      return {
        from: [...new Set(mine.map(({ node }) => node))].sort(),
        bytesPerSecond: Math.round(mine.reduce((sum, one) => sum + one.bytesPerSecond, 0)),
      }
    },
    following: (fetcher, notes) => ({
      manifest: (...ask) => fetcher.manifest(...ask),
      blob: async (repository, image, blob, options) => {
        const id = jobId(repository, image.digest)
        const blobs = fetching.get(id) ?? new Set()
        fetching.set(id, blobs.add(blob.digest))
        try {
          const pull = await fetcher.blob(repository, image, blob, options)
          if (pull.kind === 'pulled' && pull.from !== undefined) {
            notes.asked(id, { node: pull.from, digest: blob.digest, outcome: 'gave' })
          }
          return pull
        } finally {
          blobs.delete(blob.digest)
          if (blobs.size === 0) fetching.delete(id)
        }
      },
    }),
  }
}

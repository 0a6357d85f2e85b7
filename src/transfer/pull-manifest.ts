/** Fetches one manifest by digest from the first holder that gives the right bytes. */
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import { type Attempt, type Failure, summarize } from './attempts.ts'
import type { ManifestAnswer, ManifestAsk, RegistrySource } from './registry-source.ts'

export interface PullTarget {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** In the order to try. */
  readonly sources: readonly NodeName[]
}

export interface ManifestPull extends Pick<ManifestAnswer, 'namedBy'> {
  readonly kind: 'pulled'
  readonly bytes: Uint8Array
  readonly manifest: Manifest
}

export async function pullManifest(
  {
    source,
    onAttempt,
  }: { readonly source: RegistrySource; readonly onAttempt: (attempt: Attempt) => void },
  { repository, digest, sources }: PullTarget,
  options: ManifestAsk,
): Promise<ManifestPull | Failure> {
  const attempts: Attempt[] = []
  for (const node of sources) {
    const answer = await source.manifest(node, repository, digest, options)
    let failed: Attempt | undefined
    if (answer.kind === 'manifest') {
      const { bytes, namedBy } = answer
      const told = namedBy === undefined ? {} : { namedBy }
      if (digestOf(bytes, algorithmOf(digest)) === digest) {
        const parse = parseManifest(bytes, answer.mediaType)
        if (parse.kind === 'parsed')
          return { kind: 'pulled', bytes, manifest: parse.manifest, ...told }
        failed = { node, repository, digest, outcome: 'corrupt', reason: parse.reason }
      } else {
        failed = { node, repository, digest, outcome: 'corrupt', reason: 'digest does not match' }
      }
    } else {
      const reason = answer.kind === 'absent' ? 'not there' : answer.reason
      const until = answer.kind === 'closed' ? { untilMs: answer.untilMs } : {}
      failed = { node, repository, digest, outcome: answer.kind, reason, ...until }
    }
    attempts.push(failed)
    onAttempt(failed)
  }
  return summarize(attempts)
}

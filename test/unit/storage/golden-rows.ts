/** One row of every table, with every field that it can have: what golden/rows.txt holds in hex. */
import { digestNamed, identityNamed } from '../../helpers/writers.ts'

const digest = digestNamed('content')
const TIME_MS = 1_767_225_600_000

export const GOLDEN_ROWS: Readonly<Record<string, unknown>> = {
  meta: { version: 1, epochs: [{ epoch: 'abc', start: 7 }], last: 9, time: TIME_MS * 2048 },
  entry: { number: 9, records: [Uint8Array.of(1, 2, 3)], held: { digest, coverage: 'all' } },
  feed: 'app\0v1',
  tag: digest,
  manifest: {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    blobs: [{ mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 }],
    subject: digestNamed('subject'),
    artifactType: 'application/x.sbom',
    annotations: { 'org.example': 'yes' },
    size: 123_456,
    manifests: [digestNamed('child')],
  },
  blob: { size: 5_000_000_000 },
  repository: { manifests: 3, changes: 5 },
  lost: 1,
  kept: [{ tag: 'v1--fra-20260101T000000.000Z', digest, recordId: 'ab'.repeat(32) }],
  loser: { digest, of: 'v1' },
  shows: 2,
  holds: 1,
  about: 1,
  unused: { sinceMs: TIME_MS, tags: ['v1'], isOrphan: true },
  parent: [digest],
  referrer: 10_000,
  renumber: { depth: 1, after: 'v1', through: 'v2', isSecondRound: true },
  gone: { sinceMs: TIME_MS },
  upload: { repository: 'app', startedAtMs: TIME_MS },
  job: {
    references: ['v1'],
    attempts: 2,
    createdAtMs: TIME_MS,
    changedAtMs: TIME_MS + 1,
    nextTryAtMs: TIME_MS + 2,
    reason: 'hub: not there',
    heldFor: 'ab'.repeat(32),
    isPaused: true,
  },
  pause: [
    { scope: 'link', name: 'hub', sinceMs: TIME_MS },
    { scope: 'all', sinceMs: TIME_MS },
  ],
  heldup: { sinceMs: TIME_MS },
  confirmed: 'ab'.repeat(32),
  taken: TIME_MS,
  pulled: TIME_MS,
  asked: { digest, platforms: ['linux/amd64'] },
  cursor: { filter: 'theirs:ours', epoch: 'abc', number: 9 },
  parked: { bytes: Uint8Array.of(1, 2, 3), from: identityNamed('hub').peerId, reason: 'future' },
  damaged: { foundAtMs: TIME_MS, why: 'expected 2 bytes, the file has 1', repositories: ['app'] },
  pending: [
    { kind: 'write', path: 'docker/registry/v2/repositories/app/link', digest },
    { kind: 'remove', path: 'docker/registry/v2/repositories/app' },
  ],
}

/** Writers whose keys follow from their names, and records made by them. */
import type { Clock } from '../../src/lib/clock.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { Reference, RepositoryName } from '../../src/oci/name.ts'
import { createAuthor } from '../../src/record/author.ts'
import type { History } from '../../src/record/history.ts'
import { type Identity, identityFromSeed } from '../../src/record/identity.ts'
import { signRecord } from '../../src/record/record-codec.ts'
import type { PutRecord, RecordKey, SignedRecord } from '../../src/record/tag-record.ts'
import { createLogicalClock, type Time, timeOfMs } from '../../src/record/time.ts'
import { createFakeClock, START_MS } from './fake-clock.ts'

export const REALM = 'tests'

export function repo(name: string): RepositoryName {
  return name as RepositoryName
}

export function ref(name: string): Reference {
  return name as Reference
}

/** A digest that stands for content which nobody reads. */
export function digestNamed(name: string): Digest {
  return digestOf(Buffer.from(name))
}

export function identityNamed(name: string): Identity {
  return identityFromSeed(digestBytes(name))
}

export interface Writer {
  readonly identity: Identity
  put(history: History, put: PutOf): SignedRecord
  delete(history: History, key: RecordKey): SignedRecord
}

export type PutOf = RecordKey & Pick<PutRecord, 'digest'> & Partial<Pick<PutRecord, 'subject'>>

export function createWriter(
  name: string,
  {
    clock = createFakeClock(),
    realm = REALM,
    last,
    identity = identityNamed(name),
  }: {
    readonly clock?: Clock
    readonly realm?: string
    readonly last?: Time
    readonly identity?: Identity
  } = {},
): Writer {
  const logicalClock = createLogicalClock({ clock }, last)
  const author = createAuthor({ identity, logicalClock }, { realm })
  return {
    identity,
    put: (history, put) =>
      author.sign({ kind: 'put', mediaType: 'application/json', size: 10, ...put }, history),
    delete: (history, { repository, reference }) =>
      author.sign({ kind: 'delete', repository, reference }, history),
  }
}

/** A record with every field as given; what is left out says little. */
export function recordBy(
  identity: Identity,
  fields: Partial<Omit<PutRecord, 'kind'>> = {},
): SignedRecord {
  const record: PutRecord = {
    kind: 'put',
    realm: REALM,
    repository: repo('app'),
    reference: ref('v1'),
    digest: digestNamed('content'),
    mediaType: 'application/json',
    size: 10,
    time: timeOfMs(START_MS),
    seen: new Map(),
    ...fields,
  }
  return signRecord(record, identity)
}

function digestBytes(name: string): Uint8Array {
  return Buffer.from(digestOf(Buffer.from(name)).slice(7), 'hex')
}

/** Admission: every record is checked here before anything else happens with it, however it came. */
import type { Clock } from '../lib/clock.ts'
import { decodeRecord } from '../record/record-codec.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import { msOfTime } from '../record/time.ts'
import { mayWrite } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'

export type Verdict =
  | { readonly kind: 'admitted'; readonly signed: SignedRecord }
  /** Good by itself, but its time or its writer's right has not come: kept aside, looked at again later. */
  | { readonly kind: 'parked'; readonly signed: SignedRecord; readonly reason: ParkReason }
  /** Never to be accepted. */
  | { readonly kind: 'invalid'; readonly reason: string; readonly writer?: string }

export type ParkReason = 'no-writer' | 'future'

export interface Admission {
  check(bytes: Uint8Array): Verdict
  /** The same for a record whose signature was checked when it was parked. */
  judge(signed: SignedRecord): Verdict
}

/** A record further ahead of this node's time is parked, milliseconds: clocks kept by NTP are within a second. */
const MAX_AHEAD_MS = 60_000

export interface AdmissionDeps {
  readonly topology: Topology
  readonly clock: Clock
}

export function createAdmission({ topology, clock }: AdmissionDeps): Admission {
  function judge(signed: SignedRecord): Verdict {
    const { record, writer } = signed
    if (record.realm !== topology.realm) {
      const reason = `realm ${record.realm}, expected ${topology.realm}`
      return { kind: 'invalid', reason, writer }
    }
    const timeMs = msOfTime(record.time)
    if (!mayWrite(topology, writer, record.repository, timeMs)) {
      return { kind: 'parked', signed, reason: 'no-writer' }
    }
    if (timeMs > clock.now() + MAX_AHEAD_MS) return { kind: 'parked', signed, reason: 'future' }
    return { kind: 'admitted', signed }
  }

  return {
    judge,
    check: (bytes) => {
      const decode = decodeRecord(bytes)
      return decode.kind === 'invalid' ? decode : judge(decode.signed)
    },
  }
}

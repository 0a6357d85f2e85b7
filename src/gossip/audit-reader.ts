/**
 * One audit of what this node has of a neighbour: both sum up what they should share, and where the sums differ the
 * hashes say which entries are lacking here. Those are fetched and stored like any other. More here than there is no
 * difference, and what changes meanwhile is none either: only entries up to the position that was read are looked at.
 */
import { merge } from '../record/history.ts'
import type { PeerId } from '../record/peer-id.ts'
import { parseKeyText, type RecordKey, type SignedRecord } from '../record/tag-record.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { CURSOR, type EntryRow, PARKED } from '../storage/index-tables.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { Filter, Naming } from '../topology/flow.ts'
import type { NodeName } from '../topology/topology.ts'
import { type Admission, takenFrom, type Verdict } from './admission.ts'
import {
  AUDIT_PROTOCOL,
  type AuditAnswer,
  type AuditPosition,
  type AuditRequest,
  decodeAuditAnswer,
  encodeAuditRequest,
  hashesOf,
} from './audit-codec.ts'
import { createSum, scanEntries } from './audit-scan.ts'
import { positionOf } from './feed-reader.ts'
import type { Channel, Network } from './network.ts'
import type { Receiver } from './receiver.ts'

export interface AuditReaderDeps {
  readonly network: Pick<Network, 'open'>
  /** What this node's own file lets through from the neighbour. */
  readonly filterFrom: (node: NodeName) => Filter
  readonly naming: Naming
  readonly admission: Admission
  readonly receiver: Receiver
  readonly index: IndexDb
  readonly ledger: Pick<Ledger, 'entry'>
  /** For each shared key that is known here and not held as it says. */
  readonly onUnheld: (key: RecordKey) => void
}

export interface Difference {
  /** Known there and not here, although the feed was read past them. */
  readonly keys: readonly RecordKey[]
  readonly records: number
}

export interface AuditOutcome extends Difference {
  /** Compared buckets; of those the ones whose sums differed and had not been looked into before. */
  readonly buckets: number
  readonly opened: number
}

export interface AuditReader {
  /** Undefined when there is no position yet that both ends understand. @throws when the neighbour does not answer */
  audit(
    node: NodeName,
    peer: PeerId,
    options: { readonly signal: AbortSignal },
  ): Promise<AuditOutcome | undefined>
}

interface Range {
  readonly after: string
  readonly until: string | undefined
}

/** Buckets that differ one after the other are looked into together, so many at most: 64 KiB of hashes. */
const MAX_TOGETHER = 16
/** Buckets of one audit, at most: those of some 500 million entries. More come only from who wants to keep this node busy. */
const MAX_BUCKETS = 1_000_000
/** Keys told of one audit: enough to look at; the number of records says how bad it is. */
const MAX_KEYS = 10

export function createAuditReader(deps: AuditReaderDeps): AuditReader {
  const { network, filterFrom, admission, receiver, index, ledger, onUnheld } = deps
  /**
   * Of the last audit: buckets whose sums differ for a good reason, such as more here than there. As long as neither sum
   * changes they are not looked into again. Some 100 bytes for each 512 entries.
   */
  const explained = new Map<NodeName, ReadonlySet<string>>()

  async function audit(
    node: NodeName,
    peer: PeerId,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<AuditOutcome | undefined> {
    const own = filterFrom(node)
    const cursor = index.get(CURSOR, peer)
    const read = positionOf(cursor, own)
    // What was left out for want of room is read again, and no difference.
    const position = read && { ...read, number: cursor?.again ?? read.number }
    if (position === undefined || position.number === 0) return undefined
    const channel = await network.open(peer, AUDIT_PROTOCOL, { signal })
    try {
      return await compare({ channel, node, own, position, signal })
    } finally {
      await channel.close().catch(() => {})
    }
  }

  async function compare(run: Run): Promise<AuditOutcome | undefined> {
    const before = explained.get(run.node) ?? new Set()
    const now = new Set<string>()
    const found = { keys: [] as RecordKey[], records: 0, buckets: 0, opened: 0 }
    let differing: Range[] = []
    const lookInto = async () => {
      const [first, last] = [differing[0], differing.at(-1)]
      differing = []
      if (first === undefined || last === undefined) return
      await openRange(run, { after: first.after, until: last.until }, found)
    }
    for (let after: string | undefined = ''; after !== undefined; ) {
      const answer = await ask(run, { kind: 'summary', after })
      if (answer?.kind !== 'summary' || answer.buckets.length === 0) return undefined
      for (const { until, sum } of answer.buckets) {
        if (found.buckets >= MAX_BUCKETS)
          throw new Error(`audit has more than ${MAX_BUCKETS} buckets`)
        expectBehind(until, after ?? '')
        const range: Range = { after: after ?? '', until }
        const here = await sumHere(run, range)
        found.buckets += 1
        const theirs = Buffer.from(sum)
        const isEqual = theirs.equals(here)
        const name = `${range.after} ${theirs.toString('latin1')} ${here.toString('latin1')}`
        if (!isEqual) now.add(name)
        if (isEqual || before.has(name)) await lookInto()
        else {
          found.opened += 1
          differing.push(range)
          if (differing.length >= MAX_TOGETHER) await lookInto()
        }
        after = until
      }
    }
    await lookInto()
    // With a difference the sums are others now: looked into again next time.
    explained.set(run.node, now)
    return found
  }

  async function sumHere({ own, signal }: Run, range: Range): Promise<Buffer> {
    const sum = createSum()
    for await (const { key, row, hash } of scanEntries(deps, { ...range, filter: own })) {
      signal.throwIfAborted()
      sum.add(hash)
      if (!isHeld(row)) onUnheld(parseKeyText(key))
    }
    return sum.bytes()
  }

  /** Finds out what is lacking here, and gets it. */
  async function openRange(run: Run, range: Range, found: Found): Promise<void> {
    const answer = await ask(run, { kind: 'hashes', ...withUntil(range) })
    if (answer?.kind !== 'hashes') return
    const lacking = new Set(hashesOf(Buffer.from(answer.hashes)))
    for await (const { hash } of scanEntries(deps, range)) lacking.delete(hash.toString('latin1'))
    if (lacking.size === 0) return
    const hashes = Buffer.from([...lacking].join(''), 'latin1')
    for (let after: string | undefined = range.after; after !== undefined; ) {
      const request: Question = { kind: 'entries', ...withUntil({ ...range, after }), hashes }
      const page = await ask(run, request)
      if (page?.kind !== 'entries') return
      expectBehind(page.through, after)
      await store(run, page.entries.flat(), found)
      after = page.through
    }
  }

  async function store(run: Run, records: readonly Uint8Array[], found: Found): Promise<void> {
    const verdicts = records.map((bytes) => admission.check(bytes))
    const taken = takenFrom(verdicts, run.own)
    for (const { record } of taken.flatMap((verdict) => newsOf(verdict) ?? [])) {
      const { repository, reference } = record
      const isTold = found.keys.some(
        (key) => key.repository === repository && key.reference === reference,
      )
      if (!isTold && found.keys.length < MAX_KEYS) found.keys.push({ repository, reference })
      found.records += 1
    }
    await receiver.receive(taken, { via: 'feed', from: run.node })
  }

  /** What the feed should have brought. Not a newer record's past, and not what waits for its time. */
  function newsOf(verdict: Verdict): SignedRecord | undefined {
    if (verdict.kind !== 'admitted') return undefined
    const { signed } = verdict
    if (index.get(PARKED, signed.id) !== undefined) return undefined
    const history = ledger.entry(signed.record)?.history ?? []
    return merge(history, signed).kind === 'known' ? undefined : signed
  }

  return { audit }
}

interface Run {
  readonly channel: Channel
  readonly node: NodeName
  readonly own: Filter
  readonly position: AuditPosition
  readonly signal: AbortSignal
}

interface Found {
  readonly keys: RecordKey[]
  records: number
}

type Question = AuditRequest extends infer R
  ? R extends AuditRequest
    ? Omit<R, 'version' | 'position'>
    : never
  : never

/** Undefined when the neighbour does not know the position any more. */
async function ask(
  { channel, position, signal }: Run,
  question: Question,
): Promise<AuditAnswer | undefined> {
  const request = { version: 1, position, ...question } as AuditRequest
  const answer = decodeAuditAnswer(await channel.request(encodeAuditRequest(request), { signal }))
  return answer.kind === 'unknown-position' ? undefined : answer
}

/** An honest neighbour goes on; one that goes back would be asked for ever. */
function expectBehind(key: string | undefined, after: string): void {
  if (key === undefined || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0) return
  throw new RangeError('expected an audit to go on in the order of the keys, it came back')
}

function withUntil({ after, until }: Range) {
  return until === undefined ? { after } : { after, until }
}

/**
 * Whether the entry's one record names what is held, for some platforms at least. The digest is looked for in the record's bytes, which costs a
 * twentieth of decoding it; whoever is asked about the key decodes it anyway.
 */
function isHeld({ records, held }: EntryRow): boolean {
  const [record] = records
  const isHere = held !== undefined && held.coverage.length > 0
  if (record === undefined || records.length > 1 || !isHere) return false
  return Buffer.from(record.buffer, record.byteOffset, record.length).includes(held.digest)
}

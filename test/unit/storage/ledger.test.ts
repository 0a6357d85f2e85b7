import { MemoryLevel } from 'memory-level'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import { createAuthor } from '../../../src/record/author.ts'
import { identityFromSeed } from '../../../src/record/identity.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createLogicalClock } from '../../../src/record/time.ts'
import { createIndexDb, type IndexDb } from '../../../src/storage/index-db.ts'
import { type Ledger, openLedger } from '../../../src/storage/ledger.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'

const REPOSITORY = 'team/app' as RepositoryName
const author = createAuthor(
  {
    identity: identityFromSeed(Buffer.alloc(32, 1)),
    logicalClock: createLogicalClock({
      clock: { now: () => 1_800_000_000_000, sleep: async () => {} },
    }),
  },
  { realm: 'test' },
)

function put(reference: string, content: string, subject?: Digest): SignedRecord {
  const { digest, bytes } = makeBlob(bytesOf(content, 8))
  const facts = {
    repository: REPOSITORY,
    reference: reference as Reference,
    digest,
    size: bytes.length,
  }
  return author.sign(
    { kind: 'put', ...facts, mediaType: 'a/b', ...(subject === undefined ? {} : { subject }) },
    [],
  )
}

let backend: MemoryLevel<string, Uint8Array>
let index: IndexDb
let ledger: Ledger

beforeEach(async () => {
  backend = new MemoryLevel<string, Uint8Array>({ keyEncoding: 'utf8', valueEncoding: 'view' })
  await backend.open()
  index = createIndexDb(backend)
  ledger = await openLedger({ index }, { epoch: 'one' })
})

const add = (signed: SignedRecord) => index.transact((tx) => ledger.add(tx, signed))
const references = async (after: number) =>
  (await ledger.page(after, 100)).entries.map(({ key }) => key.reference)

describe('the ledger', () => {
  test('has one entry a key, numbered anew at every change, and a known record changes nothing', async () => {
    const first = put('a', 'one')
    expect((await add(first)).kind).toBe('stored')
    await add(put('b', 'two'))
    expect(ledger.head()).toBe(2)
    expect((await add(first)).kind).toBe('known')
    expect(ledger.head()).toBe(2)
    await index.transact((tx) =>
      ledger.hold(tx, first.record, {
        digest: makeBlob(bytesOf('one', 8)).digest,
        coverage: 'all',
      }),
    )
    expect(await references(0)).toEqual(['b', 'a'])
    expect(await references(2)).toEqual(['a'])
    expect(ledger.entry(first.record)?.number).toBe(3)
  })

  test('gives a reader that follows every change, while many are written at once', async () => {
    const seen = new Set<string>()
    let after = 0
    const read = async () => {
      const { entries, through } = await ledger.page(after, 7)
      for (const { key } of entries) seen.add(key.reference)
      expect(through).toBeGreaterThanOrEqual(after)
      after = through
    }
    const writes: Promise<unknown>[] = []
    for (let at = 0; at < 120; at += 1) {
      writes.push(add(put(`tag-${at}`, `content ${at}`)))
      if (at % 5 === 0) await read()
    }
    await Promise.all(writes)
    while (after < ledger.head()) await read()
    expect(seen.size).toBe(120)
    expect(after).toBe(ledger.head())
  })

  test('understands positions of earlier starts, and sends readers of unknown ones to the beginning', async () => {
    await add(put('a', 'one'))
    await add(put('b', 'two'))
    const again = await openLedger({ index }, { epoch: 'two' })
    await index.transact((tx) => again.add(tx, put('c', 'three')))
    expect(again.resume({ epoch: 'one', number: 2 })).toBe(2)
    expect(again.resume({ epoch: 'two', number: 3 })).toBe(3)
    // Past the end of its epoch: this index was put back to a backup since.
    expect(again.resume({ epoch: 'one', number: 3 })).toBe(0)
    expect(again.resume({ epoch: 'two', number: 4 })).toBe(0)
    expect(again.resume({ epoch: 'never', number: 1 })).toBe(0)
    expect(again.resume(undefined)).toBe(0)
  })

  test('numbers the signatures of a manifest anew when a tag comes to show it', async () => {
    const image = makeBlob(bytesOf('image', 8))
    const signature = put(makeBlob(bytesOf('signature', 8)).digest, 'signature', image.digest)
    await add(signature)
    const fallback = put(`sha256-${image.digest.slice(7)}.sig`, 'fallback')
    await add(fallback)
    const before = ledger.head()
    await add(put('v1', 'image'))
    await ledger.settled()
    expect((await references(before)).sort()).toEqual(
      ['v1', signature.record.reference, fallback.record.reference].sort(),
    )
  })

  test('tells who waits that it moved, after the change is durable', async () => {
    const heads: number[] = []
    const stop = ledger.onAdvance(() => heads.push(ledger.head()))
    await add(put('a', 'one'))
    stop()
    await add(put('b', 'two'))
    expect(heads).toEqual([1])
  })
})

test('a transaction that throws leaves no trace, and its neighbours in the same batch are kept', async () => {
  const good = add(put('good', 'one'))
  const bad = index.transact((tx) => {
    ledger.add(tx, put('bad', 'two'))
    throw new Error('refused')
  })
  await expect(bad).rejects.toThrow('refused')
  await good
  expect(await references(0)).toEqual(['good'])
})

test('a batch that cannot be written rejects every change in it, and the next one works', async () => {
  const failing = new Error('disk full')
  const batch = backend.batch.bind(backend)
  Reflect.set(backend, 'batch', async () => {
    throw failing
  })
  await expect(Promise.all([add(put('a', 'one')), add(put('b', 'two'))])).rejects.toMatchObject({
    code: 'INDEX_WRITE_FAILED',
    cause: failing,
  })
  Reflect.set(backend, 'batch', batch)
  expect(ledger.head()).toBe(0)
  await add(put('c', 'three'))
  expect(await references(0)).toEqual(['c'])
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { FEED } from '../../../src/storage/index-tables.ts'
import { type Entry, type Ledger, newestTime, openLedger } from '../../../src/storage/ledger.ts'
import { makeImage, makeIndex } from '../../helpers/images.ts'
import { openMemoryBackend, openStorage, push } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const stateOf = ({ history, held }: Entry) => ({ records: history.map(({ id }) => id), held })

/** One change: a record of one of two writers for one of few keys, or what is held for it. */
const change = fc.record({
  kind: fc.constantFrom('put', 'put', 'delete', 'hold', 'release'),
  writer: fc.constantFrom('hub', 'edge'),
  reference: fc.constantFrom('a', 'b', 'c', `sha256-${digestNamed('1').slice(7)}`),
  content: fc.constantFrom('1', '2'),
  /** The author knows what the ledger knows, or nothing. */
  isInformed: fc.boolean(),
})
/** What happens next to each other: some changes, then a page of a reader. */
const stories = fc.array(
  fc.record({ changes: fc.array(change, { maxLength: 4 }), limit: fc.integer({ min: 1, max: 3 }) }),
  { minLength: 1, maxLength: 12 },
)

async function openLedgerOver(backend = openMemoryBackend(), epoch = 'epoch-1') {
  const index = createIndexDb(await backend)
  return { index, ledger: await openLedger({ index }, { epoch }) }
}

describe('storage / ledger', () => {
  test('whoever follows the feed knows every key as it is, whatever is written beside it', async () => {
    await fc.assert(
      fc.asyncProperty(stories, async (story) => {
        const { index, ledger } = await openLedgerOver()
        const writers = { hub: createWriter('hub'), edge: createWriter('edge') }
        const known = new Map<string, ReturnType<typeof stateOf>>()
        let after = 0
        const read = async (limit: number) => {
          const { entries, through } = await ledger.page(after, limit)
          let last = after
          for (const entry of entries) {
            expect(entry.number).toBeGreaterThan(last)
            last = entry.number
            known.set(entry.key.reference, stateOf(entry))
          }
          expect(through).toBeGreaterThanOrEqual(last)
          after = through
        }
        for (const { changes, limit } of story) {
          const writes = changes.map(({ kind, writer, reference, content, isInformed }) => {
            const key = { repository: REPO, reference: ref(reference) }
            const digest = digestNamed(content)
            return index.transact((tx) => {
              if (kind === 'hold') return ledger.hold(tx, key, { digest, coverage: 'all' })
              if (kind === 'release') return ledger.hold(tx, key, undefined)
              const author = writers[writer as 'hub']
              const history = isInformed ? (ledger.entry(key)?.history ?? []) : []
              const signed =
                kind === 'put'
                  ? author.put(history, { ...key, digest })
                  : author.delete(history, key)
              return void ledger.add(tx, signed)
            })
          })
          // The page is read while the writes are on their way.
          await Promise.all([...writes, read(limit)])
        }
        await ledger.settled()
        while (after < ledger.head()) await read(2)

        const rows = await index.page(FEED, { limit: 100 })
        for (const [number, text] of rows) {
          const reference = ref(text.split('\0')[1] ?? '')
          const entry = ledger.entry({ repository: REPO, reference })
          expect(entry?.number).toBe(Number(number))
          expect(known.get(reference)).toEqual(entry && stateOf(entry))
        }
        expect(rows.length).toBe(known.size)
      }),
      { numRuns: 60 },
    )
  })

  test('a number is given out once, also over restarts, and the newest time is kept', async () => {
    const backend = openMemoryBackend()
    const hub = createWriter('hub')
    const numbers: number[] = []
    const times: number[] = []
    for (const epoch of ['1', '2', '3']) {
      const { index, ledger } = await openLedgerOver(backend, epoch)
      const put = hub.put([], {
        repository: REPO,
        reference: ref(`tag-${epoch}`),
        digest: digestNamed(epoch),
      })
      await index.transact((tx) => ledger.add(tx, put))
      numbers.push(ledger.head())
      times.push(newestTime(index) - put.record.time)
    }
    expect(numbers).toEqual([1, 2, 3])
    expect(times).toEqual([0, 0, 0])
  })

  test('positions of the last 64 starts are understood, older ones begin again', async () => {
    const backend = openMemoryBackend()
    const hub = createWriter('hub')
    let ledger: Ledger | undefined
    for (let epoch = 0; epoch < 70; epoch += 1) {
      const opened = await openLedgerOver(backend, `epoch-${epoch}`)
      ledger = opened.ledger
      const put = hub.put([], {
        repository: REPO,
        reference: ref('v1'),
        digest: digestNamed(`${epoch}`),
      })
      await opened.index.transact((tx) => opened.ledger.add(tx, put))
    }
    const resume = (epoch: number, number: number) =>
      ledger?.resume({ epoch: `epoch-${epoch}`, number })
    expect([resume(69, 70), resume(6, 7), resume(6, 8), resume(5, 6)]).toEqual([70, 7, 0, 0])
  })

  test('a reader that is past the head is given nothing and does not go back', async () => {
    const { ledger } = await openLedgerOver()
    expect(await ledger.page(7, 10)).toEqual({ entries: [], through: 7 })
  })

  test('a clone of a key is told apart from news', async () => {
    const { index, ledger } = await openLedgerOver()
    const key = { repository: REPO, reference: ref('v1') }
    const twins = ['1', '2'].map((content) =>
      createWriter('hub').put([], { ...key, digest: digestNamed(content) }),
    ) as [SignedRecord, SignedRecord]
    expect(await index.transact((tx) => ledger.add(tx, twins[0]))).toMatchObject({ cloned: false })
    expect(await index.transact((tx) => ledger.add(tx, twins[1]))).toMatchObject({ cloned: true })
    expect(await index.transact((tx) => ledger.add(tx, twins[1]))).toMatchObject({ kind: 'known' })
  })

  test('entries of a repository come by reference, and none of its neighbours in the alphabet', async () => {
    const rig = await openStorage()
    const image = makeImage('image')
    for (const name of ['app', 'app-2', 'app/x', 'ap']) await push(rig, name, 'v1', image)
    await push(rig, 'app', 'v2', image)
    const references = async (after: string, limit: number) =>
      (await rig.ledger.entriesOf(REPO, { after, limit })).map(({ key }) => key.reference)
    expect(await references('', 10)).toEqual(['v1', 'v2'])
    expect(await references('v1', 10)).toEqual(['v2'])
    expect(await references('', 1)).toEqual(['v1'])
  })

  test('signatures of a child, and what is about those, are numbered anew when a tag shows the index', async () => {
    const rig = await openStorage()
    const [child, other] = [makeImage('child'), makeImage('other')]
    const index = makeIndex([child, other])
    const signature = makeImage('signature', { subject: child })
    const proof = makeImage('proof', { subject: signature })
    const beside = makeImage('beside', { subject: makeImage('elsewhere') })
    await push(rig, 'app', index.digest, index)
    for (const one of [signature, proof, beside]) await push(rig, 'app', one.digest, one)
    const head = rig.ledger.head()
    await push(rig, 'app', 'v1', index)
    await rig.ledger.settled()
    const { entries } = await rig.ledger.page(head, 100)
    expect(new Set(entries.map(({ key }) => key.reference))).toEqual(
      new Set(['v1', signature.digest, proof.digest]),
    )
  })

  test('signatures of a child are numbered anew when its index comes after the tag that names it', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const child = makeImage('child')
    const index = makeIndex([child])
    const signature = makeImage('signature', { subject: child })
    const hub = createWriter('hub')
    const records = [
      hub.put([], { repository: REPO, reference: ref('v1'), digest: index.digest }),
      hub.put([], {
        repository: REPO,
        reference: signature.digest,
        digest: signature.digest,
        subject: child.digest,
      }),
    ]
    for (const signed of records) await rig.index.transact((tx) => rig.ledger.add(tx, signed))
    const head = rig.ledger.head()
    await push(rig, 'app', index.digest, index)
    await rig.ledger.settled()
    const { entries } = await rig.ledger.page(head, 100)
    expect(entries.map(({ key }) => key.reference)).toContain(signature.digest)
  })

  test('a tag that goes on showing the same manifest numbers nothing else anew', async () => {
    const rig = await openStorage()
    const image = makeImage('image')
    await push(rig, 'app', 'v1', image)
    const signature = makeImage('signature', { subject: image })
    await push(rig, 'app', signature.digest, signature)
    const number = rig.ledger.entry({ repository: REPO, reference: signature.digest })?.number
    await push(rig, 'app', 'v1', image)
    expect(rig.ledger.entry({ repository: REPO, reference: signature.digest })?.number).toBe(number)
  })
})

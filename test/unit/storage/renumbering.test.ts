import { describe, expect, test } from 'vitest'
import type { IndexBackend } from '../../../src/storage/index-db.ts'
import { RENUMBER } from '../../../src/storage/index-tables.ts'
import { openMemoryBackend, openStorage, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const SUBJECT = digestNamed('subject')
/** Rows of a batch that are not entries: those of the tag, and of the row that says how far it came. */
const OTHERS = 12
const MANY = 500

/** A backend that notes how many rows each batch had, and refuses batches while it is told to. */
async function openBackend() {
  const backend = await openMemoryBackend()
  const state = { sizes: [] as number[], takes: Number.POSITIVE_INFINITY }
  const watched: IndexBackend = new Proxy(backend, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (property === 'batch') {
          // A process that died: nothing comes back.
          if (state.takes === 0) return new Promise(() => {})
          state.takes -= 1
          state.sizes.push((args[0] as readonly unknown[]).length)
        }
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
  return { backend, watched, state }
}

const hub = createWriter('hub')

async function signMany(rig: StorageRig, count: number, subject = SUBJECT): Promise<void> {
  const names = Array.from({ length: count }, (_, at) => digestNamed(`${subject} ${at}`))
  for (const digest of names) {
    const put = hub.put([], { repository: REPO, reference: digest, digest, subject })
    await rig.index.transact((tx) => rig.ledger.add(tx, put))
  }
}

function moveTag({ index, ledger }: StorageRig, name: string, digest = SUBJECT) {
  const reference = ref(name)
  const history = ledger.entry({ repository: REPO, reference })?.history ?? []
  const put = hub.put(history, { repository: REPO, reference, digest })
  return index.transact((tx) => ledger.add(tx, put))
}

/** Numbers of all entries but tags. */
async function numbersOf({ ledger }: StorageRig): Promise<readonly number[]> {
  const { entries } = await ledger.page(0, 100_000)
  return entries.filter(({ key }) => key.reference.includes(':')).map(({ number }) => number)
}

describe('storage / renumbering', () => {
  /** A manifest with ten thousand signatures was one transaction: everybody waited 600 ms for it. */
  test('a tag of a manifest with many signatures is one small commit, and they follow in small ones', async () => {
    const { watched, state } = await openBackend()
    await using rig = await openStorage({ backend: watched })
    await signMany(rig, MANY)
    state.sizes = []
    const before = rig.ledger.head()
    await moveTag(rig, 'v1')
    expect(state.sizes).toEqual([expect.any(Number)])
    expect(state.sizes[0]).toBeLessThan(OTHERS)
    await rig.ledger.settled()
    expect(Math.max(...state.sizes)).toBeLessThan(3 * 64 + OTHERS)
    const numbers = await numbersOf(rig)
    expect(numbers.length).toBe(MANY)
    expect(Math.min(...numbers)).toBeGreaterThan(before)
    expect(await rig.index.page(RENUMBER, { limit: 1 })).toEqual([])
  })

  test('what a crash cut off is gone on with at the next start', async () => {
    const { backend, watched, state } = await openBackend()
    const rig = await openStorage({ backend: watched })
    await signMany(rig, MANY)
    const before = rig.ledger.head()
    state.takes = 4
    await moveTag(rig, 'v1')
    while (state.takes > 0) await new Promise((resolve) => setImmediate(resolve))
    const left = (await numbersOf(rig)).filter((number) => number <= before)
    expect(left.length).toBeGreaterThan(0)
    expect(left.length).toBeLessThan(MANY)

    await using again = await openStorage({ backend, epoch: 'epoch-2' })
    // Another tag: those that were done before it are done once more, in a second round.
    const head = again.ledger.head()
    await moveTag(again, 'v2')
    await again.ledger.settled()
    expect(Math.min(...(await numbersOf(again)))).toBeGreaterThan(head)
  })

  test('tags that keep coming do not make it begin again: the last signature has its turn', async () => {
    await using rig = await openStorage()
    await signMany(rig, MANY)
    const before = rig.ledger.head()
    const last = Array.from({ length: MANY }, (_, at) => digestNamed(`${SUBJECT} ${at}`))
      .sort()
      .at(-1)
    if (last === undefined) throw new Error('there are many')
    const numberOfLast = () => rig.ledger.entry({ repository: REPO, reference: last })?.number ?? 0
    let moves = 0
    for (; moves < 200 && numberOfLast() <= before; moves += 1) await moveTag(rig, `v${moves}`)
    expect(moves).toBeLessThan(200)
    // What was numbered before the newest tag came is numbered after it too.
    const head = rig.ledger.head()
    await moveTag(rig, 'newest')
    await rig.ledger.settled()
    expect(Math.min(...(await numbersOf(rig)))).toBeGreaterThan(head)
  })

  test('one that is asked for all the time does not keep another from its turn', async () => {
    await using rig = await openStorage()
    const other = digestNamed('other')
    await signMany(rig, 200)
    await signMany(rig, 1, other)
    const before = rig.ledger.head()
    const last = async () =>
      rig.ledger.entry({ repository: REPO, reference: digestNamed(`${other} 0`) })?.number ?? 0
    await moveTag(rig, 'other', other)
    let moves = 0
    for (; moves < 50 && (await last()) <= before + 1; moves += 1) await moveTag(rig, `v${moves}`)
    expect(await last()).toBeGreaterThan(before + 1)
    expect(moves).toBeLessThan(50)
    await rig.ledger.settled()
  })

  test('records that are about each other come to an end', async () => {
    await using rig = await openStorage()
    const [a, b] = [digestNamed('a'), digestNamed('b')]
    for (const [digest, subject] of [
      [a, b],
      [b, a],
    ] as const) {
      const put = hub.put([], { repository: REPO, reference: digest, digest, subject })
      await rig.index.transact((tx) => rig.ledger.add(tx, put))
    }
    await moveTag(rig, 'v1', a)
    await rig.ledger.settled()
    expect(rig.ledger.head()).toBeLessThan(20)
  })
})

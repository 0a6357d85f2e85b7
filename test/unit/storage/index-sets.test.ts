import { describe, expect, test } from 'vitest'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import {
  addMember,
  hasMember,
  membersIn,
  membersOf,
  removeMember,
  sizeOf,
} from '../../../src/storage/index-sets.ts'
import { pairKey, SHOWS } from '../../../src/storage/index-tables.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { ref } from '../../helpers/writers.ts'

const KEY = pairKey('app', 'sha256:ab')
/** A set whose key goes on where the first one ends. */
const NEXT = pairKey('app', 'sha256:abc')
const tag = (name: string) => ref(name) as never

async function openSets() {
  const backend = await openMemoryBackend()
  let [read, written] = [0, 0]
  const counting = new Proxy(backend, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (property === 'getSync') read += 1
        if (property === 'batch') written += (args[0] as readonly unknown[]).length
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
  const index = createIndexDb(counting)
  const cost = () => {
    const rows = { read, written }
    read = 0
    written = 0
    return rows
  }
  return { index, cost }
}

describe('storage / index-sets', () => {
  test('a set has each member once, counts them, and has no row when the last one goes', async () => {
    const { index } = await openSets()
    await index.transact((tx) => {
      for (const name of ['b', 'a', 'b']) addMember(tx, SHOWS, KEY, tag(name))
      addMember(tx, SHOWS, NEXT, tag('other'))
    })
    expect(sizeOf(index, SHOWS, KEY)).toBe(2)
    expect(hasMember(index, SHOWS, KEY, tag('a'))).toBe(true)
    expect(await Array.fromAsync(membersOf(index, SHOWS, KEY))).toEqual(['a', 'b'])
    await index.transact((tx) => {
      for (const name of ['a', 'a', 'never', 'b']) removeMember(tx, SHOWS, KEY, tag(name))
    })
    expect(sizeOf(index, SHOWS, KEY)).toBe(0)
    expect((await index.page(SHOWS, { limit: 9 })).map(([key]) => key)).toEqual([
      NEXT,
      pairKey(NEXT, 'other'),
    ])
  })

  test('members are read in pages, after one and through one', async () => {
    const { index } = await openSets()
    const names = Array.from({ length: 300 }, (_, at) => `t${String(at).padStart(3, '0')}`)
    await index.transact((tx) => {
      for (const name of names) addMember(tx, SHOWS, KEY, tag(name))
    })
    expect(await Array.fromAsync(membersOf(index, SHOWS, KEY))).toEqual(names)
    expect(await membersIn(index, SHOWS, KEY, { after: 't007', limit: 2 })).toEqual([
      't008',
      't009',
    ])
    expect(
      await membersIn(index, SHOWS, KEY, { after: 't007', through: 't008', limit: 9 }),
    ).toEqual(['t008'])
    expect(await Array.fromAsync(membersOf(index, SHOWS, KEY, { after: 't298' }))).toEqual(['t299'])
  })

  /** Lists in one row cost ten thousand tags of one manifest ten thousand times as much as one. */
  test('the ten thousandth member costs as many rows as the second', async () => {
    const { index, cost } = await openSets()
    const add = async (name: string) => {
      cost()
      await index.transact((tx) => addMember(tx, SHOWS, KEY, tag(name)))
      return cost()
    }
    await add('first')
    const second = await add('second')
    await index.transact((tx) => {
      for (let at = 0; at < 9_998; at += 1) addMember(tx, SHOWS, KEY, tag(`t${at}`))
    })
    expect(await add('last')).toEqual(second)
    expect(second).toEqual({ read: 2, written: 2 })
  })
})

import { expect, test } from 'vitest'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import { ENTRY, META, pairKey } from '../../../src/storage/index-tables.ts'
import { openLedger } from '../../../src/storage/ledger.ts'
import { makeImage } from '../../helpers/images.ts'
import { openMemoryBackend, openStorage, push } from '../../helpers/storage-rig.ts'
import { repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const SETS = ['shows', 'holds', 'referrer', 'about']

type Backend = Awaited<ReturnType<typeof openMemoryBackend>>

async function rowsOf(backend: Backend, tables: readonly string[]) {
  const rows = await backend.iterator({}).all()
  return rows
    .filter(([key]) => tables.includes(key.slice(0, key.indexOf('/'))))
    .map(([key, value]) => [key, Buffer.from(value).toString('hex')] as const)
}

/** The index as the first form had it: lists in one row, digests among what is held, no `about`. */
async function makeOld(backend: Backend): Promise<void> {
  const lists = new Map<string, string[]>()
  for (const [key] of await rowsOf(backend, SETS)) {
    await backend.del(key)
    const [repository = '', digest = '', member] = key.split('\0')
    if (member === undefined || key.startsWith('about/')) continue
    const list = `${repository}\0${digest}`
    lists.set(list, [...(lists.get(list) ?? []), member])
  }
  for (const [text, row] of await rowsOf(backend, ['entry'])) {
    const { held } = ENTRY.decode(Uint8Array.from(Buffer.from(row, 'hex')))
    const reference = text.split('\0')[1] ?? ''
    if (held === undefined || !reference.includes(':')) continue
    const list = `holds/${pairKey(REPO, held.digest)}`
    lists.set(list, [...(lists.get(list) ?? []), reference])
  }
  for (const [key, list] of lists) await backend.put(key, encodeCbor(list))
  await backend.del('meta/index')
}

test('an index of the first form gets the rows of this one, and no record is lost', async () => {
  const backend = await openMemoryBackend()
  const rig = await openStorage({ backend })
  const image = makeImage('image')
  const signature = makeImage('signature', { subject: image })
  for (const name of ['v1', 'v2', 'v3']) await push(rig, 'app', name, image)
  await push(rig, 'app', signature.digest, signature)
  await rig.ledger.settled()
  await rig.links.settled()
  const before = await rowsOf(backend, [...SETS, 'entry'])
  await makeOld(backend)
  expect(await rowsOf(backend, [...SETS, 'entry'])).not.toEqual(before)

  const again = await openStorage({ backend, epoch: 'epoch-2' })
  expect(await rowsOf(backend, [...SETS, 'entry'])).toEqual(before)
  expect(again.index.get(META, 'index')).toEqual({ version: 2 })
  expect(await Array.fromAsync(again.content.referrers(REPO, image.digest))).toHaveLength(1)
})

test('an index of a later form is refused, with what to do, and is not touched', async () => {
  const backend = await openMemoryBackend()
  const rig = await openStorage({ backend })
  await rig.index.transact((tx) => tx.put(META, 'index', { version: 3 }))
  const before = await rowsOf(backend, ['meta'])
  await expect(openLedger(rig, { epoch: 'epoch-2' })).rejects.toMatchObject({
    code: 'INDEX_VERSION_UNKNOWN',
    message: expect.stringMatching(
      /form 3, this program knows form 2: start the version/,
    ) as string,
  })
  expect(await rowsOf(backend, ['meta'])).toEqual(before)
})

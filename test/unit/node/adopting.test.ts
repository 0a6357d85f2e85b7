import { expect, test } from 'vitest'
import { startAdopting } from '../../../src/node/adopting.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { ADOPTED, UNSIGNED } from '../../../src/storage/adopted-tags.ts'
import { isAdoptionOpen } from '../../../src/storage/adoption.ts'
import { manifestRow } from '../../../src/storage/content-rows.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { META } from '../../../src/storage/index-tables.ts'
import { distributionLayout } from '../../helpers/distribution-layout.ts'
import { makeImage } from '../../helpers/images.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { ref, repo } from '../../helpers/writers.ts'

const REPO = repo('demo/app')
const image = makeImage('image')

/** A node that adopted a tag in an earlier run, and has one neighbour to read. */
async function setUp({ mustAdopt = false, directory = '/nowhere' } = {}) {
  const stop = new AbortController()
  const rig = await openStorage()
  const parse = parseManifest(image.bytes, image.mediaType)
  if (parse.kind === 'invalid') throw new Error(parse.reason)
  await rig.index.transact((tx) => {
    tx.put(META, ADOPTED, { version: UNSIGNED })
    rig.rows.putManifest(tx, REPO, image.digest, manifestRow(parse.manifest, image.bytes.length))
    const held = { digest: image.digest, coverage: 'all', isAdopted: true } as const
    rig.ledger.hold(tx, { repository: REPO, reference: ref('v1') }, held)
  })
  const read = Promise.withResolvers<void>()
  const unread = ['edge']
  const reasons: string[] = []
  const log = createLogKeeper()
  const adopting = startAdopting(
    {
      ...rig,
      author: rig.signer,
      directory,
      isWriter: () => true,
      readBack: { complete: () => read.promise, unread: () => unread },
      signing: { pass: async () => reasons.pop() },
      logger: log.logger,
    },
    { mustAdopt, signal: stop.signal },
  )
  const signed = () => rig.ledger.entry({ repository: REPO, reference: ref('v1') })?.history.length
  const isRead = () => {
    unread.pop()
    read.resolve()
  }
  return { ...rig, adopting, log, signed, isRead, reasons, stop }
}

test('adopted content is signed when every neighbour was read, not before', async () => {
  const { clock, adopting, log, signed, isRead } = await setUp()
  await adopting.over()
  await clock.advance(500_000)
  expect(signed()).toBe(0)
  isRead()
  await clock.advance(0)
  expect(signed()).toBe(1)
  expect(log.lines.at(-1)).toMatchObject({
    message: 'adopted content signed as pushed here',
    fields: { tags: 1, digests: 0, left: 0 },
  })
  await adopting[Symbol.asyncDispose]()
  expect(clock.sleeping()).toBe(0)
})

test('a neighbour that cannot be reached is waited for ten minutes, and named', async () => {
  const { clock, adopting, log, signed } = await setUp()
  await clock.advance(600_000)
  expect(signed()).toBe(1)
  expect(log.lines.at(-1)?.fields).toMatchObject({ unread: ['edge'] })
  await adopting[Symbol.asyncDispose]()
})

test('while this node may not sign, adopted content waits', async () => {
  const { clock, adopting, log, signed, isRead, reasons } = await setUp()
  reasons.push('the clock is off', 'the clock is off')
  isRead()
  await clock.advance(45_000)
  expect(signed()).toBe(0)
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  await clock.advance(30_000)
  expect(signed()).toBe(1)
  await adopting[Symbol.asyncDispose]()
})

test('a node that is stopped while it adopts waits for no end, and the next start adopts', async () => {
  await using temporary = await makeTemporaryDirectory()
  const directory = temporary.path
  await distributionLayout(directory).putImage('demo/other', 'v1', image)
  const given = { mustAdopt: true, directory }
  const { adopting, backend, clock, log, signed, isRead, stop } = await setUp(given)
  stop.abort()
  await adopting.over()
  isRead()
  await clock.advance(600_000)
  expect(signed()).toBe(0)
  expect(log.lines).toEqual([])
  expect(isAdoptionOpen(createIndexDb(backend))).toBe(true)
  await adopting[Symbol.asyncDispose]()
  expect(clock.sleeping()).toBe(0)
})

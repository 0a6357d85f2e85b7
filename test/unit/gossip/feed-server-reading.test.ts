import { expect, test } from 'vitest'
import { decodeFeedAnswer, encodeFeedRequest } from '../../../src/gossip/feed-codec.ts'
import { createFeedServer } from '../../../src/gossip/feed-server.ts'
import type { Network } from '../../../src/gossip/network.ts'
import { createReading } from '../../../src/peers/reading.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { peerIdOfName, starTopology } from '../../helpers/star-topology.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

type Handler = Parameters<Network['handle']>[1]

/** A hub that lets its edge see repositories below `demo/` alone. */
async function setUp() {
  const { ledger, index, clock } = await openStorage()
  const reading = createReading({ clock })
  let handler: Handler | undefined
  createFeedServer({
    network: {
      handle: (_protocol, handle) => {
        handler = handle
      },
    },
    topology: starTopology(['edge']),
    self: 'hub' as NodeName,
    ledger,
    naming: { tagsNaming: async function* () {} },
    reading,
    clock,
  })
  const stop = new AbortController()
  const ask = (position?: { epoch: string; number: number; filter: string }) => {
    const frame = encodeFeedRequest({ version: 1, waitMs: 30_000, ...(position && { position }) })
    const peer = peerIdOfName('edge')
    return Promise.resolve(handler?.(frame, { peer, signal: stop.signal }))
  }
  const know = (repository: string) => {
    const key = { repository: repo(repository), reference: ref('v1') }
    const put = createWriter('hub').put([], { ...key, digest: digestNamed(repository) })
    return index.transact((tx) => ledger.add(tx, put))
  }
  return { ask, know, ledger, reading, stop }
}

test('where a reader waits follows what does not concern it, and ends with the answer', async () => {
  const { ask, know, ledger, reading } = await setUp()
  const answered = ask()
  await settle()
  expect(reading.readers()).toMatchObject([{ node: 'edge', through: 0, isWaiting: true }])
  await know('other/app')
  await settle()
  // Nothing went over the wire, and it is known all the same that the edge has all that it is to have.
  expect(reading.readers()).toMatchObject([{ through: ledger.head(), isWaiting: true }])
  await know('demo/app')
  const answer = decodeFeedAnswer((await answered) ?? new Uint8Array())
  expect(answer.entries).toHaveLength(1)
  // Until it asks again nobody knows whether it has kept the answer.
  expect(reading.readers()).toMatchObject([{ through: 1, isWaiting: false }])
  expect(ledger.head()).toBe(2)
})

test('a reader that goes away waits no longer', async () => {
  const { ask, reading, stop } = await setUp()
  const answered = ask()
  await settle()
  stop.abort(new Error('gone'))
  await expect(answered).rejects.toThrow('gone')
  expect(reading.readers()).toMatchObject([{ isWaiting: false }])
})

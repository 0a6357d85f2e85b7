import { describe, expect, test } from 'vitest'
import type { PairLimit } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createPacedSource } from '../../../src/transfer/paced-source.ts'
import type { RegistrySource } from '../../../src/transfer/registry-source.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const [HUB, EU] = ['hub', 'eu'] as [NodeName, NodeName]
const CHUNK = 65_536
const APP = repo('app')
const DIGEST = digestNamed('x')
/** 1 Mbit, and closed from the tenth to the twentieth second on. */
const CLOSES_MS = START_MS + 10_000
const OPENS_MS = START_MS + 20_000

const limit: PairLimit = {
  at: (ms) => (ms >= CLOSES_MS && ms < OPENS_MS ? 0 : 1_000_000),
  changesAt: (ms) => [CLOSES_MS, OPENS_MS].find((edge) => edge > ms) ?? Number.POSITIVE_INFINITY,
  opensAt: () => OPENS_MS,
}

function setUp() {
  const clock = createFakeClock()
  const asked: string[] = []
  let given = 0
  let isLetGo = false
  async function* body(from: number, size: number): AsyncGenerator<Uint8Array> {
    try {
      for (let at = from; at < size; at += CHUNK) {
        given += 1
        yield new Uint8Array(Math.min(CHUNK, size - at)).fill(at / CHUNK)
      }
    } finally {
      isLetGo = true
    }
  }
  const inner: RegistrySource = {
    manifest: async (node) => {
      asked.push(`manifest of ${node}`)
      return { kind: 'manifest', bytes: new Uint8Array(12_500), mediaType: undefined }
    },
    blob: async (node, _repository, _digest, { offset, size = 10 * CHUNK }) => {
      asked.push(`blob of ${node}`)
      return { kind: 'blob', offset, body: body(offset, size) }
    },
  }
  const source = createPacedSource({ source: inner, limits: new Map([[HUB, limit]]), clock })
  const stop = new AbortController()
  /** Reads a blob to its end. */
  const read = async (node: NodeName, size: number, offset = 0) => {
    const answer = await source.blob(node, APP, DIGEST, { offset, size, signal: stop.signal })
    if (answer.kind !== 'blob') return answer
    const pieces: Uint8Array[] = []
    for await (const piece of answer.body) pieces.push(piece.slice())
    return { bytes: Buffer.concat(pieces), atMs: clock.now() - START_MS }
  }
  const manifest = (node: NodeName) => source.manifest(node, APP, DIGEST, { signal: stop.signal })
  return { clock, read, manifest, stop, asked, given: () => given, isLetGo: () => isLetGo }
}

describe('transfer / paced-source', () => {
  test('a blob comes at the rate of its link, whole and in order, and is not read ahead', async () => {
    const { clock, read, given } = setUp()
    const reading = read(HUB, 10 * CHUNK)
    await clock.advance(1_000)
    // 125,000 bytes and the burst: the third chunk is on its way, the fourth was not asked for.
    expect(given()).toBe(3)
    await clock.advance(9_000)
    const blob = await reading
    if (!('bytes' in blob)) throw new Error('expected the blob')
    expect(blob.bytes.length).toBe(10 * CHUNK)
    expect(blob.bytes.every((byte, at) => byte === Math.floor(at / CHUNK))).toBe(true)
    expect(blob.atMs / 5_242.88).toBeCloseTo(1, 1)
  })

  test('a node without a limit is not held up, and what it gives does not count for another', async () => {
    const { clock, read, manifest } = setUp()
    const whole = await read(EU, 100 * CHUNK)
    expect(whole).toMatchObject({ atMs: 0 })
    await manifest(EU)
    expect(clock.sleeping()).toBe(0)
    expect(await read(HUB, 1_000)).toMatchObject({ atMs: 0 })
  })

  test('a small blob, a manifest and the end of a large blob overtake a large blob', async () => {
    const { clock, read, manifest } = setUp()
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    void read(HUB, 10 * CHUNK).then(note('large'))
    await clock.advance(500)
    void read(HUB, 10 * CHUNK, 9.9 * CHUNK).then(note('end'))
    void read(HUB, 1_000).then(note('small'))
    void manifest(HUB).then(note('manifest'))
    await clock.advance(1_000)
    expect(order.toSorted()).toEqual(['end', 'manifest', 'small'])
    await clock.advance(8_000)
    expect(order.at(-1)).toBe('large')
  })

  test('manifests count: the one after many waits for its turn', async () => {
    const { clock, manifest } = setUp()
    const came: number[] = []
    const ask = async () => {
      for (let count = 0; count < 50; count += 1) {
        await manifest(HUB)
        came.push(clock.now() - START_MS)
      }
    }
    void ask()
    await clock.advance(5_000)
    // 100 ms each.
    expect((came.at(-1) ?? 0) / 4_700).toBeCloseTo(1, 1)
    expect(came).toHaveLength(50)
  })

  test('a closed link is not asked, and the answer says until when', async () => {
    const { clock, read, manifest, asked } = setUp()
    await clock.advance(10_000)
    const closed = { kind: 'closed', untilMs: OPENS_MS }
    expect(await read(HUB, 10)).toMatchObject(closed)
    expect(await manifest(HUB)).toMatchObject(closed)
    expect(asked).toEqual([])
    expect(clock.sleeping()).toBe(0)
  })

  test('a link that closes ends what runs, and lets go of the holder', async () => {
    const { clock, read, isLetGo } = setUp()
    const reading = read(HUB, 100 * CHUNK)
    const outcome = expect(reading).rejects.toMatchObject({
      code: 'LINK_CLOSED',
      untilMs: OPENS_MS,
    })
    await clock.advance(9_999)
    expect(isLetGo()).toBe(false)
    await clock.advance(1)
    await outcome
    expect(isLetGo()).toBe(true)
    expect(clock.sleeping()).toBe(0)
  })

  test('an abort while a piece waits lets go of the holder at once', async () => {
    const { clock, read, stop, isLetGo } = setUp()
    const outcome = expect(read(HUB, 10 * CHUNK)).rejects.toThrow('enough')
    await clock.advance(1_000)
    stop.abort(new Error('enough'))
    await outcome
    expect(isLetGo()).toBe(true)
    await clock.advance(0)
    expect(clock.sleeping()).toBe(0)
  })
})

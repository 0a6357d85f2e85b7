import { describe, expect, test } from 'vitest'
import type { PairLimit } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createPacedSource } from '../../../src/transfer/paced-source.ts'
import type { BlobAsk, Refused, RegistrySource } from '../../../src/transfer/registry-source.ts'
import { createFakeClock, START_MS, settle } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const [HUB, EU] = ['hub', 'eu'] as [NodeName, NodeName]
const MBIT = 1_000_000
const CHUNK = 16_384
const APP = repo('app')
const DIGEST = digestNamed('x')
/** The link of hub is closed from the tenth to the twentieth second on. */
const CLOSES_MS = START_MS + 10_000
const OPENS_MS = START_MS + 20_000

const limitOf = (bits: number): PairLimit => ({
  at: (ms) => (ms >= CLOSES_MS && ms < OPENS_MS ? 0 : bits),
  changesAt: (ms) => [CLOSES_MS, OPENS_MS].find((edge) => edge > ms) ?? Number.POSITIVE_INFINITY,
  opensAt: () => OPENS_MS,
})

const PERIOD = Uint8Array.from({ length: 251 }, (_, at) => at)

interface Holder {
  readonly bits?: number
  readonly ignoresRange?: boolean
  /** Bytes after which an answer ends early. */
  readonly cutAt?: number
  /** What it answers from this byte on. */
  readonly refusal?: Refused & { readonly from: number }
}

/** Every byte says where in the blob it is, modulo 251. */
function bytesFrom(start: number, end: number): Uint8Array {
  const first = start % PERIOD.length
  return Buffer.alloc(
    end - start,
    Buffer.concat([PERIOD.subarray(first), PERIOD.subarray(0, first)]),
  )
}

function setUp({ bits = MBIT, ignoresRange = false, cutAt, refusal }: Holder = {}) {
  const clock = createFakeClock()
  const asked: string[] = []
  /** Bytes that were asked for of hub so far. */
  let sent = 0
  const inner: RegistrySource = {
    manifest: async (node) => {
      asked.push(`manifest of ${node}`)
      return { kind: 'manifest', bytes: new Uint8Array(12_500), mediaType: undefined }
    },
    blob: async (node, _repository, _digest, { offset, size = 100_000, end = size, signal }) => {
      asked.push(`${node} ${offset}-${end}`)
      signal.throwIfAborted()
      if (refusal !== undefined && offset >= refusal.from) return refusal
      const [from, to] = ignoresRange ? [0, size] : [offset, end]
      sent += to - from
      return { kind: 'blob', offset: from, body: body(from, Math.min(to, cutAt ?? to), signal) }
    },
  }
  const source = createPacedSource({
    source: inner,
    limits: new Map([[HUB, limitOf(bits)]]),
    clock,
  })
  const stop = new AbortController()
  const blob = (node: NodeName, ask: Partial<BlobAsk>) =>
    source.blob(node, APP, DIGEST, { offset: 0, signal: stop.signal, ...ask })
  /** Reads a blob to its end. */
  const read = async (node: NodeName, size: number | undefined, offset = 0) => {
    const answer = await blob(node, { offset, ...(size === undefined ? {} : { size }) })
    if (answer.kind !== 'blob') return answer
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.body) chunks.push(chunk)
    return { bytes: Buffer.concat(chunks), atMs: clock.now() - START_MS }
  }
  const manifest = (node: NodeName) => source.manifest(node, APP, DIGEST, { signal: stop.signal })
  return { clock, blob, read, manifest, stop, asked, sent: () => sent }
}

async function* body(from: number, to: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; at += CHUNK) {
    signal.throwIfAborted()
    yield bytesFrom(at, Math.min(to, at + CHUNK))
  }
}

describe('transfer / paced-source', () => {
  for (const count of [1, 3, 20]) {
    test(`of ${count} blobs at once no more is asked for than the link may carry, and all come whole`, async () => {
      const { clock, read, sent } = setUp({ bits: 8 * MBIT })
      const size = 3_000_000 / count
      const reading = Array.from({ length: count }, () => read(HUB, size))
      for (const second of [1, 2]) {
        await clock.advance(1_000)
        expect(sent()).toBeGreaterThan(second * 950_000)
        expect(sent()).toBeLessThan((second + 0.36) * 1_000_000)
      }
      await clock.advance(1_000)
      for (const blob of await Promise.all(reading)) {
        if (!('bytes' in blob)) throw new Error('expected the blob')
        expect(blob.bytes.equals(bytesFrom(0, size))).toBe(true)
      }
    })
  }

  test('one piece is asked for while the one before comes, and none twice', async () => {
    const { clock, read, asked } = setUp()
    const reading = read(HUB, 100_000, 1_000)
    await clock.advance(5_000)
    expect(await reading).toMatchObject({ bytes: Buffer.from(bytesFrom(1_000, 100_000)) })
    expect(asked).toEqual(['hub 1000-32250', 'hub 32250-63500', 'hub 63500-100000'].slice(0, 3))
  })

  test('a node without a limit is asked for all at once, and what it gives does not count for another', async () => {
    const { clock, read, manifest, asked } = setUp()
    expect(await read(EU, 10_000_000)).toMatchObject({ atMs: 0 })
    await manifest(EU)
    expect(clock.sleeping()).toBe(0)
    expect(await read(HUB, 1_000)).toMatchObject({ atMs: 0 })
    expect(asked).toEqual(['eu 0-10000000', 'manifest of eu', 'hub 0-1000'])
  })

  test('a small blob, a manifest and the end of a large blob overtake a large blob', async () => {
    const { clock, read, manifest } = setUp()
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    void read(HUB, 600_000).then(note('large'))
    await clock.advance(500)
    void read(HUB, 600_000, 590_000).then(note('end'))
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
    expect((came.at(-1) ?? 0) / 4_800).toBeCloseTo(1, 1)
    expect(came).toHaveLength(50)
  })

  test('a holder that knows no ranges is read slower, and gives its blob whole', async () => {
    const { clock, read } = setUp({ ignoresRange: true })
    const reading = read(HUB, 500_000)
    await clock.advance(8_000)
    const blob = await reading
    expect(blob).toMatchObject({ bytes: Buffer.from(bytesFrom(0, 500_000)) })
    expect('atMs' in blob ? blob.atMs / 4_000 : 0).toBeCloseTo(1, 1)
  })

  test('a blob of a size that nobody says is read slower', async () => {
    const { clock, read, asked } = setUp()
    const reading = read(HUB, undefined)
    await clock.advance(2_000)
    const blob = await reading
    expect(blob).toMatchObject({ bytes: Buffer.from(bytesFrom(0, 100_000)) })
    expect('atMs' in blob ? blob.atMs : 0).toBeGreaterThan(500)
    expect(asked).toEqual(['hub 0-100000'])
  })

  test('an answer that ends early ends the body: who reads goes on elsewhere', async () => {
    const { clock, read } = setUp({ cutAt: 40_000 })
    const reading = read(HUB, 100_000)
    await clock.advance(5_000)
    expect(await reading).toMatchObject({ bytes: Buffer.from(bytesFrom(0, 40_000)) })
    await clock.advance(5_000)
    expect(clock.sleeping()).toBe(0)
  })

  test('a holder that refuses a later piece ends the body with its reason', async () => {
    const refusal = { kind: 'unreachable', reason: 'GET answered 503', from: 31_250 } as const
    const { clock, read } = setUp({ refusal })
    const outcome = expect(read(HUB, 100_000)).rejects.toThrow(
      'hub gave a part of the blob: GET answered 503',
    )
    await clock.advance(5_000)
    await outcome
  })

  test('what was refused does not count', async () => {
    const { clock, read } = setUp({ refusal: { kind: 'absent', from: 0 } })
    for (let count = 0; count < 100; count += 1) {
      expect(await read(HUB, 100_000)).toMatchObject({ kind: 'absent' })
    }
    expect(clock.now()).toBe(START_MS)
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

  test('a link that closes ends what runs, and what waits is not asked for', async () => {
    const { clock, read, asked } = setUp()
    const closed = { code: 'LINK_CLOSED', untilMs: OPENS_MS }
    const outcomes = [read(HUB, 6_000_000), read(HUB, 6_000_000)].map((reading) =>
      expect(reading).rejects.toMatchObject(closed),
    )
    await clock.advance(9_999)
    const before = asked.length
    await clock.advance(1)
    await Promise.all(outcomes)
    expect(asked).toHaveLength(before)
    expect(clock.sleeping()).toBe(0)
  })

  test('an abort while a piece waits ends at once, and leaves nothing', async () => {
    const { clock, read, stop } = setUp()
    const outcome = expect(read(HUB, 600_000)).rejects.toThrow('enough')
    await clock.advance(1_000)
    stop.abort(new Error('enough'))
    await outcome
    await clock.advance(0)
    expect(clock.sleeping()).toBe(0)
  })

  test('who stops reading asks for no more', async () => {
    const { clock, blob, asked } = setUp()
    const answer = await blob(HUB, { size: 600_000 })
    if (answer.kind !== 'blob') throw new Error('expected the blob')
    for await (const _chunk of answer.body) break
    await settle()
    expect(clock.sleeping()).toBe(0)
    expect(asked).toEqual(['hub 0-31250'])
  })
})

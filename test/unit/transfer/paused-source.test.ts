import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createPausedSource } from '../../../src/transfer/paused-source.ts'
import type { RegistrySource } from '../../../src/transfer/registry-source.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

const [HUB, EU] = ['hub' as NodeName, 'eu' as NodeName]
const [REPO, BLOB] = [repo('app'), digestNamed('blob')]

/** A source whose answers wait for a signal, or give a byte and then wait. */
function setUp() {
  const paused = new Set<string>()
  const events = createEventBus({ logger: silentLogger })
  const asked: NodeName[] = []
  const gone = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error)
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  const source: RegistrySource = {
    manifest: async (node, _repository, _digest, { signal }) => {
      asked.push(node)
      return gone(signal)
    },
    blob: async (node, _repository, _digest, { signal }) => {
      asked.push(node)
      const body = (async function* () {
        yield Uint8Array.of(1)
        await gone(signal)
      })()
      return { kind: 'blob', offset: 0, body }
    },
  }
  const reasonFor = (node: NodeName) => (paused.has(node) ? `link ${node} is paused` : undefined)
  const set = (...names: readonly NodeName[]) => {
    paused.clear()
    for (const name of names) paused.add(name)
    events.emit({ kind: 'pauses-changed', pauses: [] })
  }
  return { asked, set, source: createPausedSource({ source, reasonFor, events }) }
}

const { signal } = new AbortController()
const options = { offset: 0, signal }

async function read(answer: Awaited<ReturnType<RegistrySource['blob']>>): Promise<number> {
  if (answer.kind !== 'blob') throw new Error(`expected a blob, got ${answer.kind}`)
  let bytes = 0
  for await (const chunk of answer.body) bytes += chunk.length
  return bytes
}

describe('transfer / paused-source', () => {
  test('nothing is asked of a paused node, and the reason is told', async () => {
    const { asked, set, source } = setUp()
    set(HUB)
    const refusal = { kind: 'unreachable', reason: 'link hub is paused' }
    expect(await source.blob(HUB, REPO, BLOB, options)).toEqual(refusal)
    expect(await source.manifest(HUB, REPO, BLOB, { signal })).toEqual(refusal)
    expect(asked).toEqual([])
  })

  test('what runs is cut off by the pause, with its reason; that of others goes on', async () => {
    const { set, source } = setUp()
    const [hub, eu] = [
      await source.blob(HUB, REPO, BLOB, options),
      await source.blob(EU, REPO, BLOB, options),
    ]
    const ends = [hub, eu].map(read)
    let isEuOver = false
    void ends[1]?.catch(() => {
      isEuOver = true
    })
    set(HUB)
    await expect(ends[0]).rejects.toThrow('link hub is paused')
    expect(isEuOver).toBe(false)
    set(HUB, EU)
    await expect(ends[1]).rejects.toThrow('link eu is paused')
  })

  test('a question that waits for its answer is an answer too', async () => {
    const { set, source } = setUp()
    const answer = source.manifest(HUB, REPO, BLOB, { signal })
    set(HUB)
    expect(await answer).toEqual({ kind: 'unreachable', reason: 'link hub is paused' })
  })

  test('the abort of whoever asked stays one', async () => {
    const { source } = setUp()
    const stop = new AbortController()
    const answer = source.manifest(HUB, REPO, BLOB, { signal: stop.signal })
    stop.abort(new Error('not wanted any more'))
    await expect(answer).rejects.toThrow('not wanted any more')
  })
})

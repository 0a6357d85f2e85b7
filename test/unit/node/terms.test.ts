/** Terms that follow one another, also where one cannot be opened, closed, or neither of two runs. */
import { expect, test } from 'vitest'
import { EntrepotError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Term, TermOptions } from '../../../src/node/term.ts'
import { openTerms } from '../../../src/node/terms.ts'
import { createSeededRandom } from '../../../src/simulator/seeded-random.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { runningOf, textOf } from './changes-rig.ts'

const [FIRST, SECOND] = [1, 2].map((generation) => runningOf(textOf(generation)).topology) as [
  Topology,
  Topology,
]

async function setUp() {
  const clock = createFakeClock()
  const steps: string[] = []
  const stop = new AbortController()
  /** Why a term of a generation cannot be opened, as long as it stands here. */
  const faults = new Map<string, Error>()
  const state = { closing: async () => {} }

  async function open(topology: Topology, { unreadBefore }: TermOptions): Promise<Term> {
    const { generation } = topology
    const fault = faults.get(`open ${generation}`)
    if (fault !== undefined) throw fault
    steps.push(
      `open ${generation}${unreadBefore === undefined ? '' : ` unread ${unreadBefore.join()}`}`,
    )
    const term = {
      topology,
      app: { fetch: async () => new Response(`term ${generation}`) },
      core: { readBack: { unread: () => ['par'] } },
      start: async () => {
        const late = faults.get(`start ${generation}`)
        if (late !== undefined) throw late
        steps.push(`start ${generation}`)
      },
      [Symbol.asyncDispose]: async () => {
        steps.push(`close ${generation}`)
        await state.closing()
      },
    }
    return term as unknown as Term
  }

  const random = createSeededRandom('terms')
  const terms = await openTerms(
    { self: 'hq' as NodeName, topology: FIRST, open, clock, random, logger: silentLogger },
    { mustAdopt: false, signal: stop.signal },
  )
  await terms.start()
  const replace = () => {
    const replaced = terms.replace(SECOND, async () => void steps.push('not run'))
    replaced.catch(() => {})
    return replaced
  }
  const ask = async (method: string) => {
    const answer = await terms.app.fetch(new Request('http://node/v2/a/manifests/v1', { method }))
    return answer.status === 200 ? answer.text() : answer.status
  }
  return { clock, terms, steps, stop, faults, state, replace, ask }
}

test('the former term is closed before the next one opens, which reads back only what that one had not', async () => {
  const { terms, steps, replace, ask } = await setUp()
  await replace()
  expect(steps).toEqual(['open 1', 'start 1', 'close 1', 'open 2 unread par', 'start 2'])
  expect(terms.current().topology.generation).toBe(2)
  expect(await ask('PUT')).toBe('term 2')
})

test.each(['open 2', 'start 2'])(
  'where the next one fails at its %s the former one runs again, and is told of before',
  async (step) => {
    const { terms, steps, faults, replace, ask } = await setUp()
    faults.set(step, new Error('no socket'))
    await expect(replace()).rejects.toMatchObject({
      code: 'TOPOLOGY_NOT_RUN',
      message: 'it cannot be run here: no socket',
    })
    const opened = step === 'open 2' ? [] : ['open 2 unread par', 'close 2']
    expect(steps.slice(3)).toEqual([...opened, 'not run', 'open 1 unread par', 'start 1'])
    expect(terms.current().topology.generation).toBe(1)
    expect(await ask('PUT')).toBe('term 1')
  },
)

test('a part of the former one that does not close as it should stops nothing', async () => {
  const { terms, state, replace } = await setUp()
  state.closing = async () => {
    throw new Error('no such socket')
  }
  await replace()
  expect(terms.current().topology.generation).toBe(2)
})

test('when neither can be run the former one is tried again until it can; reading goes on, writing is put off', async () => {
  const { clock, terms, faults, replace, ask } = await setUp()
  faults.set('open 2', new Error('no socket'))
  faults.set('open 1', new Error('port taken'))
  const replaced = replace()
  await clock.advance(30_000)
  expect(await ask('GET')).toBe('term 1')
  const push = ask('PUT')
  await clock.advance(2_000)
  expect(await push).toBe(503)
  faults.clear()
  await clock.advance(10_000)
  await expect(replaced).rejects.toMatchObject({ code: 'TOPOLOGY_NOT_RUN' })
  expect(terms.current().topology.generation).toBe(1)
  expect(await ask('PUT')).toBe('term 1')
})

test.each(['neither can be run', 'the former one does not close'])(
  'a node is lost when %s for too long, and says so',
  async (how) => {
    const { clock, terms, faults, state, replace } = await setUp()
    for (const step of ['open 1', 'open 2']) faults.set(step, new Error('port taken'))
    if (how === 'the former one does not close') state.closing = () => new Promise(() => {})
    let lost: EntrepotError | undefined
    void terms.lost.then((err) => {
      lost = err
    })
    void replace()
    await clock.advance(299_000)
    expect(lost).toBeUndefined()
    await clock.advance(1_000)
    expect(lost?.code).toBe('NODE_LOST')
    expect(lost?.message).toMatch(/generation 2.*300 s.*start it again/)
  },
)

test('a node that runs is not lost later', async () => {
  const { clock, terms, replace } = await setUp()
  await replace()
  let isLost = false
  void terms.lost.then(() => {
    isLost = true
  })
  await clock.advance(600_000)
  expect(isLost).toBe(false)
  expect(clock.sleeping()).toBe(0)
})

test('a node that is stopped in between ends, and forgets no file', async () => {
  const { clock, terms, steps, stop, faults, state, replace } = await setUp()
  faults.set('open 2', new EntrepotError('ABORTED', 'adoption was interrupted'))
  state.closing = async () => stop.abort()
  const replaced = replace()
  await clock.advance(1_000)
  await expect(replaced).rejects.toMatchObject({ code: 'NODE_STOPPING' })
  expect(steps).not.toContain('not run')
  await terms[Symbol.asyncDispose]()
})

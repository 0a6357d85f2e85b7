import { describe, expect, test } from 'vitest'
import { createReadBack } from '../../../src/gossip/read-back.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { nodeName } from './gossip-node.ts'

const [EU, US] = [nodeName('eu'), nodeName('us')]
const at = (through: number, head: number) => ({ epoch: 'e', through, head })

function setUp(sources = [EU, US]) {
  const clock = createFakeClock()
  const log = createLogKeeper()
  const readBack = createReadBack({ sources, clock, logger: log.logger })
  const answers: (string | undefined)[] = []
  const ask = () => void readBack.pass().then((answer) => answers.push(answer))
  return { clock, log, readBack, answers, ask }
}

describe('gossip / read-back', () => {
  test('who has nobody to read from signs at once', async () => {
    const { readBack } = setUp([])
    expect(await readBack.pass()).toBeUndefined()
    await readBack.complete()
  })

  test('a change waits until every neighbour was read to the end, and no longer', async () => {
    const { clock, log, readBack, answers, ask } = setUp()
    readBack.start()
    ask()
    readBack.onRead(EU, at(3, 3))
    readBack.onRead(US, at(500, 900))
    await clock.advance(1_000)
    expect(answers).toEqual([])
    readBack.onRead(US, at(900, 900))
    await clock.advance(0)
    expect(answers).toEqual([undefined])
    expect(log.lines).toEqual([])
  })

  test('who does not answer is waited for 10 s, and that is told once', async () => {
    const { clock, log, readBack, answers, ask } = setUp()
    readBack.start()
    readBack.onRead(EU, at(0, 0))
    ask()
    await clock.advance(9_999)
    expect(answers).toEqual([])
    await clock.advance(1)
    expect(answers).toEqual([undefined])
    ask()
    await clock.advance(0)
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { neighbours: ['us'] } }])
    expect(readBack.unread()).toEqual(['us'])
  })

  test('who still sends is waited for longer; meanwhile changes are refused, and told how far it is', async () => {
    const { clock, log, readBack, answers, ask } = setUp()
    readBack.start()
    for (let page = 1; page <= 4; page += 1) {
      readBack.onRead(US, at(page * 500, 2_500))
      await clock.advance(5_000)
    }
    ask()
    await clock.advance(0)
    expect(answers).toEqual([
      'this node has started anew and still reads what its neighbours know of its own writing: us (2000 of 2500 entries)',
    ])
    readBack.onRead(US, at(2_500, 2_500))
    await clock.advance(30_000)
    ask()
    await clock.advance(0)
    expect(answers[1]).toBeUndefined()
    expect(log.lines).toMatchObject([{ fields: { neighbours: ['eu'] } }])
  })

  test('who began to send and fell silent is waited for no longer', async () => {
    const { clock, readBack, answers, ask } = setUp([EU])
    readBack.start()
    readBack.onRead(EU, at(500, 2_500))
    await clock.advance(15_000)
    ask()
    await clock.advance(0)
    expect(answers[0]).toContain('500 of 2500')
    await clock.advance(10_000)
    ask()
    await clock.advance(0)
    expect(answers[1]).toBeUndefined()
  })

  test('who says the same again, or goes back, is waited for no longer', async () => {
    const { clock, readBack, answers, ask } = setUp([EU])
    readBack.start()
    for (let page = 1; page <= 8; page += 1) {
      readBack.onRead(EU, at(500 - page, 2_500))
      await clock.advance(5_000)
    }
    ask()
    await clock.advance(0)
    expect(answers).toEqual([undefined])
  })

  test('a change before the network runs waits for it, for 10 s, and is told then', async () => {
    const { clock, readBack, answers, ask } = setUp([EU])
    ask()
    await clock.advance(9_999)
    expect(answers).toEqual([])
    await clock.advance(1)
    expect(answers).toEqual([expect.stringContaining('looks at what it found on its disk')])
    ask()
    await clock.advance(5_000)
    readBack.start()
    readBack.onRead(EU, at(1, 1))
    await clock.advance(0)
    expect(answers[1]).toBeUndefined()
    expect(answers).toHaveLength(2)
    await readBack[Symbol.asyncDispose]()
    expect(clock.sleeping()).toBe(0)
  })

  test('closing ends every wait, and nothing is signed that waited', async () => {
    const { clock, readBack, answers, ask } = setUp()
    readBack.start()
    ask()
    await readBack[Symbol.asyncDispose]()
    await readBack.complete()
    await clock.advance(0)
    expect(answers).toEqual(['this node ends, or takes up another topology'])
    expect(clock.sleeping()).toBe(0)
  })
})

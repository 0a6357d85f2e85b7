import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

const UP: MeshEvent = { kind: 'neighbour-up', node: 'hub' as NodeName }
const DOWN: MeshEvent = { kind: 'neighbour-down', node: 'hub' as NodeName }

function setUp() {
  const errors: object[] = []
  const logger = { ...silentLogger, error: (fields: object) => void errors.push(fields) }
  return { bus: createEventBus({ logger }), errors }
}

describe('events / event-bus', () => {
  test('a listener hears events of its kind, in order, and one for all hears every one', () => {
    const { bus } = setUp()
    const [up, all]: [MeshEvent[], MeshEvent[]] = [[], []]
    bus.on('neighbour-up', (event) => up.push(event))
    bus.onAny((event) => all.push(event))
    for (const event of [UP, DOWN, UP]) bus.emit(event)
    expect([up, all]).toEqual([
      [UP, UP],
      [UP, DOWN, UP],
    ])
  })

  test('listeners of a kind hear it before those for all, each in the order in which they came', () => {
    const { bus } = setUp()
    const order: string[] = []
    bus.onAny(() => order.push('any'))
    bus.on('neighbour-up', () => order.push('first'))
    bus.on('neighbour-up', () => order.push('second'))
    bus.emit(UP)
    expect(order).toEqual(['first', 'second', 'any'])
  })

  test('one that stopped hears nothing more, also when it stops while it listens', () => {
    const { bus } = setUp()
    const heard: string[] = []
    const stop = bus.on('neighbour-up', () => {
      heard.push('once')
      stop()
    })
    bus.on('neighbour-up', () => heard.push('always'))
    bus.emit(UP)
    bus.emit(UP)
    stop()
    expect(heard).toEqual(['once', 'always', 'always'])
  })

  test('a listener that throws is logged and keeps nobody from hearing', () => {
    const { bus, errors } = setUp()
    const heard: MeshEvent[] = []
    const err = new Error('broken')
    bus.on('neighbour-up', () => {
      throw err
    })
    bus.on('neighbour-up', (event) => heard.push(event))
    bus.onAny((event) => heard.push(event))
    bus.emit(UP)
    expect(heard).toEqual([UP, UP])
    expect(errors).toEqual([{ err, kind: 'neighbour-up' }])
  })

  test('an event that a listener emits reaches everybody', () => {
    const { bus } = setUp()
    const heard: string[] = []
    bus.on('neighbour-up', () => bus.emit(DOWN))
    bus.onAny(({ kind }) => heard.push(kind))
    bus.emit(UP)
    expect(heard.sort()).toEqual(['neighbour-down', 'neighbour-up'])
  })
})

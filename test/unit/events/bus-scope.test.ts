import { describe, expect, test } from 'vitest'
import { createBusScope } from '../../../src/events/bus-scope.ts'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

describe('events / bus scope', () => {
  test('what was subscribed through it ends with it; others go on, and what it emits reaches them', () => {
    const bus = createEventBus({ logger: silentLogger })
    const heard: string[] = []
    const node = 'a' as NodeName
    const scope = createBusScope(bus)
    bus.on('neighbour-up', () => void heard.push('bus'))
    scope.on('neighbour-up', () => void heard.push('scope'))
    scope.onAny(() => void heard.push('any'))
    const stop = scope.on('neighbour-up', () => void heard.push('stopped'))
    stop()

    scope.emit({ kind: 'neighbour-up', node })
    expect(heard.sort()).toEqual(['any', 'bus', 'scope'])

    heard.length = 0
    scope[Symbol.dispose]()
    bus.emit({ kind: 'neighbour-up', node })
    expect(heard).toEqual(['bus'])
  })
})

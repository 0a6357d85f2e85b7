/**
 * One life of a simulated process: every call of its ports passes here and is counted, so that it can end before or after
 * any of them. What ends has no effect any more: its calls never return, its sleepers never wake.
 */
import type { Clock } from '../lib/clock.ts'

export interface SimLife {
  /** Aborted at the end. */
  readonly signal: AbortSignal
  /** Resolves at the end. */
  readonly over: Promise<void>
  /** Calls of ports so far. */
  calls(): number
  /** From now on the `call`th call is the last: it has its effect, or it has not. */
  endAt(call: number, isEffective: boolean): void
  end(): void
  /** Calls are not counted meanwhile: somebody looks at the node from outside. */
  isPaused: boolean
  /** `port`, with every call of a function counted. Functions in `makers` give objects that are guarded as well. */
  guard<T extends object>(port: T, makers?: readonly string[]): T
  clock(clock: Clock): Clock
}

/** Functions that answer at once and change nothing: also what has ended may call them, for it has nothing to wait for. */
const SYNCHRONOUS = new Set<string | symbol>([
  'getSync',
  'iterator',
  'keys',
  'values',
  'on',
  'once',
  'off',
  'pathOf',
  'list',
  'connected',
  'addresses',
  'join',
  'handle',
  'onUp',
  'onDown',
  'onStranger',
])

const never = new Promise<never>(() => {})

export function createSimLife(onEnd: () => void): SimLife {
  const over = new AbortController()
  const { signal } = over
  const { promise, resolve } = Promise.withResolvers<void>()
  let calls = 0
  let last = Number.POSITIVE_INFINITY
  let isEffective = false

  const life: SimLife = {
    signal,
    over: promise,
    calls: () => calls,
    endAt: (call, effective) => {
      last = calls + call
      isEffective = effective
    },
    isPaused: false,
    end: () => {
      if (signal.aborted) return
      over.abort()
      onEnd()
      resolve()
    },
    guard: (port, makers = []) =>
      new Proxy(port, {
        get: (target, property) => {
          const value: unknown = Reflect.get(target, property, target)
          if (typeof value !== 'function') return value
          const isMaker = makers.includes(String(property))
          return (...given: unknown[]) => {
            const call = () => Reflect.apply(value, target, given) as unknown
            const isSynchronous = SYNCHRONOUS.has(property)
            if (signal.aborted) return isSynchronous ? call() : never
            const made = pass(call, isSynchronous)
            if (!isMaker || !(made instanceof Promise)) return made
            return made.then((object: object) => life.guard(object))
          }
        },
      }),
    clock: (clock) => ({
      now: () => clock.now(),
      sleep: async (ms, options) => {
        await clock.sleep(ms, options)
        if (signal.aborted) await never
      },
    }),
  }

  function pass(call: () => unknown, isSynchronous: boolean): unknown {
    if (life.isPaused) return call()
    calls += 1
    if (calls < last) return call()
    if (!isEffective) {
      life.end()
      return isSynchronous ? call() : never
    }
    const made = call()
    if (isSynchronous || !(made instanceof Promise)) {
      life.end()
      return made
    }
    const end = () => {
      life.end()
      return never
    }
    return made.then(end, end)
  }
  return life
}

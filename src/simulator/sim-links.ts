/** The wires between simulated peers, direction by direction: whole, cut, or passing bytes one way only. */
import { reasonOf } from '../lib/abort.ts'
import type { PeerId } from '../record/peer-id.ts'

export interface SimLinks {
  set(from: PeerId, to: PeerId, passes: boolean): void
  passes(from: PeerId, to: PeerId): boolean
  /** Resolves once bytes pass, as TCP sends them again and again. @throws the signal's reason */
  passage(from: PeerId, to: PeerId, signal: AbortSignal): Promise<void>
}

export function createSimLinks(): SimLinks {
  /** Whoever waits for a direction that passes nothing. */
  const cut = new Map<string, Set<() => void>>()
  return {
    set: (from, to, passes) => {
      const way = `${from} ${to}`
      const waiting = cut.get(way)
      if (!passes) {
        if (waiting === undefined) cut.set(way, new Set())
        return
      }
      cut.delete(way)
      for (const go of waiting ?? []) go()
    },
    passes: (from, to) => cut.size === 0 || !cut.has(`${from} ${to}`),
    passage: (from, to, signal) =>
      new Promise((resolve, reject) => {
        const waiting = cut.get(`${from} ${to}`)
        if (waiting === undefined) return resolve()
        if (signal.aborted) return reject(reasonOf(signal))
        const onAbort = () => {
          waiting.delete(go)
          reject(reasonOf(signal))
        }
        const go = () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
        waiting.add(go)
        signal.addEventListener('abort', onAbort, { once: true })
      }),
  }
}

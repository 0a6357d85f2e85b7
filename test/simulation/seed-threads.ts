/** Runs seeds on several threads. The outcomes come in the order in which they are ready. */
import { Worker } from 'node:worker_threads'
import type { Mutation } from './mutations.ts'
import type { SeedOutcome } from './seeds.ts'

export interface SeedRange {
  readonly first: number
  readonly count: number
  /** Seeds side by side: one a core. */
  readonly threads: number
  readonly mutation?: Mutation
  /** A seed that takes longer, milliseconds of real time, goes round in a circle in which no simulated time passes. */
  readonly limitMs?: number
}

/** A seed takes a fraction of a second; a machine may have much else to do. */
const LIMIT_MS = 120_000

/** `onOutcome` says whether to go on. @throws when a thread dies: a rejection that nobody handled is a bug too */
export async function runSeeds(
  { first, count, threads, mutation, limitMs = LIMIT_MS }: SeedRange,
  onOutcome: (outcome: SeedOutcome) => boolean,
): Promise<void> {
  let next = first
  let mayGoOn = true
  /** Nobody waits for a seed when enough is known. */
  const stopped = Promise.withResolvers<'stopped'>()
  const take = () => (mayGoOn && next < first + count ? next++ : undefined)
  const start = () => {
    const workerData = mutation === undefined ? {} : { mutation }
    return new Worker(new URL('./seed-worker.ts', import.meta.url), { workerData })
  }
  const lane = async () => {
    let worker = start()
    try {
      for (let seed = take(); seed !== undefined; seed = take()) {
        const outcome = await Promise.race([run(worker, seed, limitMs), stopped.promise])
        if (outcome === 'stopped') return
        if (outcome === undefined) {
          await worker.terminate()
          worker = start()
        }
        const error = `no end after ${limitMs / 1000} s: it goes round without a wait`
        mayGoOn = onOutcome(outcome ?? { seed, realm: 'unknown', error, story: [] }) && mayGoOn
        if (!mayGoOn) stopped.resolve('stopped')
      }
    } finally {
      await worker.terminate()
    }
  }
  await Promise.all(Array.from({ length: threads }, lane))
}

/** @returns undefined when the time is over */
function run(worker: Worker, seed: number, limitMs: number): Promise<SeedOutcome | undefined> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      clearTimeout(timer)
      reject(new Error(`seed ${seed}: the thread died: ${cause.message}`, { cause }))
    }
    const onMessage = (outcome: SeedOutcome) => {
      clearTimeout(timer)
      worker.off('error', onError)
      resolve(outcome)
    }
    const timer = setTimeout(() => {
      worker.off('error', onError)
      worker.off('message', onMessage)
      resolve(undefined)
    }, limitMs).unref()
    worker.once('error', onError)
    worker.once('message', onMessage)
    worker.postMessage(seed)
  })
}

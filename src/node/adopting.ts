/** Adoption while the node serves: what is found is served at once, and the node is ready when all of it was looked at. */
import type { Logger } from '../lib/logger.ts'
import { type AdoptionDeps, adopt } from '../storage/adoption.ts'

export interface Adopting extends AsyncDisposable {
  isOver(): boolean
}

export interface AdoptingDeps extends AdoptionDeps {
  readonly logger: Logger
}

/** Findings that are logged one by one: an operator who needs them all runs `entrepot adopt`. */
const MAX_LOGGED = 100

export function startAdopting({ logger, ...deps }: AdoptingDeps): Adopting {
  const stop = new AbortController()
  let isOver = false
  let logged = 0

  async function run(): Promise<void> {
    try {
      const { findings, isDone, ...counts } = await adopt(deps, {
        signal: stop.signal,
        onFinding: ({ kind, path, expected, came, todo }) => {
          logged += 1
          if (logged > MAX_LOGGED) return
          logger.warn({ kind, path, expected, came, todo }, 'adoption found something wrong')
        },
      })
      if (counts.repositories > 0) logger.info({ ...counts, findings }, 'content on disk adopted')
      if (!isDone) {
        const todo = 'stop the node and run entrepot adopt: it says which, and what can be done'
        logger.error(
          { findings, todo },
          'manifests cannot be read, nothing is collected until then',
        )
      }
    } catch (err) {
      if (stop.signal.aborted) return
      logger.error({ err }, 'adoption was interrupted, the next start begins it again')
    }
    isOver = true
  }

  const running = run()
  return {
    isOver: () => isOver,
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      await running
    },
  }
}

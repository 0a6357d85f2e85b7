/** A queue with its pauses over an index in memory, on a clock that a test moves. */
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { PullPlan } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import { createPauses } from '../../../src/queue/pauses.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
/** Ended jobs that are kept. */
export const MOST = 20

/** Of a job that `plan` makes. */
export function idOf(content: string): string {
  return `${REPO}@${digestNamed(content)}`
}

export function plan(content: string, more: Partial<PullPlan> = {}): PullPlan {
  const key = { repository: REPO, reference: ref(content) }
  return {
    kind: 'pull',
    key,
    digest: digestNamed(content),
    recordId: `record of ${content}`,
    ...more,
  }
}

/** `backend`: of an earlier run. */
export async function openQueue(backend?: Awaited<ReturnType<typeof openMemoryBackend>>) {
  const disk = backend ?? (await openMemoryBackend())
  const index = createIndexDb(disk)
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  const told: JobView[] = []
  events.on('job-changed', ({ job }) => told.push(job))
  const pauses = createPauses({ index, events, clock })
  const store = createJobStore({ index })
  const history = await openJobHistory({ index, logger: silentLogger }, MOST)
  const queue = createJobQueue({
    store,
    history,
    events,
    clock,
    random: systemRandom,
    pauses,
    logger: silentLogger,
  })
  const stateOf = (content: string) => queue.get(idOf(content))?.state
  return { queue, history, index, pauses, events, clock, told, disk, stateOf }
}

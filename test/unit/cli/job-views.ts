/** Jobs as a node tells of them, for tests of what is made of that. */
import type { JobView } from '../../../src/events/mesh-event.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'

export function jobView(content: string, change: Partial<JobView> = {}): JobView {
  const digest = digestNamed(content)
  return {
    id: `${repo('app')}@${digest}`,
    repository: repo('app'),
    digest,
    references: [content],
    state: 'queued',
    bytesDone: 0,
    attempts: 0,
    createdAtMs: START_MS,
    changedAtMs: START_MS,
    priority: 0,
    policies: ['all'],
    platforms: 'all',
    ...change,
  }
}

export function snapshot(jobs: readonly JobView[], paused: readonly object[] = []) {
  return { event: 'snapshot', data: { status: { node: 'edge', paused }, jobs } }
}

export function changed(job: JobView) {
  return { event: 'job-changed', data: { kind: 'job-changed', job } }
}

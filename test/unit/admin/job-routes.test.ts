import { describe, expect, test } from 'vitest'
import { HISTORY_PAGE, JOB, JOB_DETAIL, JOBS_PAGE } from '../../../src/admin/job-view.ts'
import { FAILURE } from '../../../src/admin/views.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createAdminParts, jsonOf, REPOSITORY } from './admin-parts.ts'

const { signal } = new AbortController()

/** Follows the Link headers. @returns the pages */
async function pagesOf(
  ask: (path: string) => Promise<Response>,
  path: string,
): Promise<readonly unknown[]> {
  const pages: unknown[] = []
  for (let at: string | undefined = path; at !== undefined; ) {
    const answer = await ask(at)
    pages.push(await answer.json())
    at = /^<(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  return pages
}

describe('admin / jobs', () => {
  test('jobs are listed page by page, each once, in the order of their ids', async () => {
    const { ask, addJob } = await createAdminParts()
    const ids = Array.from({ length: 5 }, (_, at) => addJob(`v${at}`)).sort()
    const pages = await pagesOf(ask, `/api/v1/jobs?n=2&repository=${REPOSITORY}`)
    const jobs = pages.map((page) => JOBS_PAGE.parse(page).jobs.map(({ id }) => id))
    expect(jobs.map((page) => page.length)).toEqual([2, 2, 1])
    expect(jobs.flat()).toEqual(ids)
  })

  test('each filter leaves what fits, and they all have to', async () => {
    const { ask, addJob, queue, pauses } = await createAdminParts()
    const [held, other] = [addJob('v1', { policies: ['nightly'] }), addJob('v2')]
    const key = { repository: 'team/app/web' as RepositoryName, reference: 'v3' } as never
    addJob('v3', { key, policies: ['nightly', 'all'] })
    const third = `team/app/web@${digestOf(Buffer.from('v3'))}`
    queue.hold(held)
    const job = await queue.take({ signal })
    expect(job.id).toBe(other)
    queue.defer(job, { kind: 'no-holder', reason: 'nobody' })
    await pauses.pause({ scope: 'policy', name: 'nightly' })
    await pauses.pause({ scope: 'policy', name: 'all' })
    const ids = async (query: string) =>
      JOBS_PAGE.parse(await jsonOf(ask(`/api/v1/jobs?${query}`))).jobs.map(({ id }) => id)
    expect(await ids('state=held')).toEqual([held])
    expect(await ids('repository=other/name')).toEqual([])
    expect(await ids('repository=team')).toEqual([third])
    expect(await ids('repository=team/ap')).toEqual([])
    expect(await ids('repository=team/app/')).toEqual([third])
    expect(await ids('repository=team/**')).toEqual([third])
    expect(await ids('repository=*/hello')).toHaveLength(2)
    expect(await ids('reference=v2')).toEqual([other])
    expect(await ids(`digest=${third.slice(third.indexOf('@') + 1, -40)}`)).toEqual([third])
    expect(await ids('policy=nightly')).toEqual([held, third])
    expect(await ids('policy=nightly&state=queued')).toEqual([third])
    expect(await ids('cause=no-holder')).toEqual([other])
    expect(await ids('paused=true')).toEqual([third])
    expect(await ids('from=hub')).toEqual([])
  })

  test('a filter that is not known, or makes no sense, is refused and named', async () => {
    const { ask } = await createAdminParts()
    for (const query of ['state=lost', 'stat=held', 'n=some', 'cause=x', 'repository=a//b']) {
      const answer = await ask(`/api/v1/jobs?${query}`)
      expect(answer.status, query).toBe(400)
      const { code, message } = FAILURE.parse(await jsonOf(answer)).error
      expect(code).toBe('QUERY_INVALID')
      expect(message).toContain(query.split('=')[0])
    }
  })

  test('a job that ended and was made anew is listed once, as it is now', async () => {
    const { ask, addJob, queue } = await createAdminParts()
    addJob('v1')
    queue.finish(await queue.take({ signal }))
    addJob('v1')
    const { jobs } = JOBS_PAGE.parse(await jsonOf(ask('/api/v1/jobs')))
    expect(jobs.map(({ state }) => state)).toEqual(['queued'])
  })

  test('one job tells whom it asked, its last lines, and when it is tried again', async () => {
    const { ask, addJob, queue } = await createAdminParts()
    const id = addJob('v1', { priority: 7, policies: ['all'], platforms: ['linux/arm64'] })
    const job = await queue.take({ signal })
    queue.note(job, { phase: 'blobs' })
    const { digest } = job
    queue.notes.asked(id, {
      node: 'hub',
      digest,
      outcome: 'absent',
      reason: 'not there',
    })
    queue.defer(job, { kind: 'no-holder', reason: 'hub: not there' })
    const view = JOB_DETAIL.parse(await jsonOf(ask(`/api/v1/jobs/${encodeURIComponent(id)}`)))
    expect(view).toMatchObject({ state: 'waiting', attempts: 1, cause: 'no-holder', priority: 7 })
    expect(view).toMatchObject({ policies: ['all'], platforms: ['linux/arm64'] })
    expect(view.nextTryAtMs).toBeGreaterThan(view.changedAtMs)
    expect(view.asked).toMatchObject([{ node: 'hub', outcome: 'absent', reason: 'not there' }])
    expect(view.log.map(({ text }) => text)).toEqual([
      'queued: asked for by v1',
      'try 1 begins',
      'phase blobs',
      `hub absent ${digest}: not there`,
      expect.stringMatching(/^waits until \d{4}-.*: hub: not there$/),
    ])
  })

  test('cancel holds a job, retry queues it again, and a second cancel changes nothing', async () => {
    const { ask, addJob } = await createAdminParts()
    const path = `/api/v1/jobs/${encodeURIComponent(addJob('v1'))}`
    const act = async (action: string) =>
      JOB.parse(await jsonOf(ask(`${path}/${action}`, { method: 'POST' })))
    expect(await act('cancel')).toMatchObject({ state: 'held' })
    expect(await act('cancel')).toMatchObject({ state: 'held' })
    expect(await act('retry')).toMatchObject({ state: 'queued' })
    expect(JOB.parse(await jsonOf(ask(path)))).toMatchObject({ state: 'queued' })
  })

  test('a paused job is resumed or cancelled; a cancelled one is only retried', async () => {
    const { ask, addJob } = await createAdminParts()
    const path = `/api/v1/jobs/${encodeURIComponent(addJob('v1'))}`
    const act = (action: string) => ask(`${path}/${action}`, { method: 'POST' })
    const view = async (action: string) => JOB.parse(await jsonOf(act(action)))
    expect(await view('pause')).toMatchObject({ state: 'held', pausedBy: 'job' })
    expect(await view('resume')).toMatchObject({ state: 'queued' })
    expect((await act('resume')).status).toBe(409)
    await act('pause')
    const cancelled = await view('cancel')
    expect(cancelled).toMatchObject({ state: 'held', reason: 'cancelled by an operator' })
    expect(cancelled).not.toHaveProperty('pausedBy')
    for (const action of ['resume', 'pause']) {
      const refusal = FAILURE.parse(await jsonOf(act(action)))
      expect(refusal.error.message, action).toContain('retry it')
    }
    expect(await view('retry')).toMatchObject({ state: 'queued' })
  })

  test('a move that the state does not allow is refused with the state', async () => {
    const { ask, addJob, pauses } = await createAdminParts()
    const path = `/api/v1/jobs/${encodeURIComponent(addJob('v1'))}/retry`
    const answer = await ask(path, { method: 'POST' })
    expect(answer.status).toBe(409)
    expect(FAILURE.parse(await jsonOf(answer)).error.message).toContain('queued')
    await pauses.pause({ scope: 'all' })
    const paused = FAILURE.parse(await jsonOf(ask(path, { method: 'POST' })))
    expect(paused.error.message).toContain('resume that')
  })

  test('an unknown job is a readable 404', async () => {
    const { ask } = await createAdminParts()
    for (const init of [{ path: '/api/v1/jobs/x%40y' }, { path: '/api/v1/jobs/x/cancel' }]) {
      const method = init.path.endsWith('cancel') ? 'POST' : 'GET'
      const answer = await ask(init.path, { method })
      expect(answer.status).toBe(404)
      expect(FAILURE.parse(await jsonOf(answer)).error.code).toBe('JOB_UNKNOWN')
    }
  })

  test('ten thousand jobs are listed page by page, and a page costs no more than the list', async () => {
    const { ask, addJob } = await createAdminParts()
    for (let at = 0; at < 10_000; at += 1) addJob(`v${at}`)
    const pages = await pagesOf(ask, '/api/v1/jobs?n=1000')
    const ids = pages.flatMap((page) => JOBS_PAGE.parse(page).jobs.map(({ id }) => id))
    expect(new Set(ids).size).toBe(10_000)
  }, 60_000)
})

describe('admin / history', () => {
  test('what ended is told newest first, page by page, with its outcome and cause', async () => {
    const { ask, addJob, queue } = await createAdminParts()
    addJob('done')
    queue.finish(await queue.take({ signal }))
    addJob('gone')
    queue.vanish(await queue.take({ signal }), 'nobody has it')
    addJob('unwanted')
    queue.forget({ repository: REPOSITORY, reference: 'unwanted' as never })
    addJob('old', { key: { repository: REPOSITORY, reference: 'v1' as never } })
    addJob('new', { key: { repository: REPOSITORY, reference: 'v1' as never } })
    const pages = await pagesOf(ask, '/api/v1/history?n=3')
    const ended = pages.flatMap((page) => HISTORY_PAGE.parse(page).ended)
    expect(ended.map(({ number, job: { state, cause } }) => [number, state, cause])).toEqual([
      [4, 'superseded', 'newer-news'],
      [3, 'superseded', 'not-wanted'],
      [2, 'gone', 'no-holder'],
      [1, 'done', undefined],
    ])
    const gone = HISTORY_PAGE.parse(await jsonOf(ask('/api/v1/history?state=gone')))
    expect(gone.ended.map(({ number }) => number)).toEqual([2])
    expect((await ask('/api/v1/history?last=x')).status).toBe(400)
  })
})

import { describe, expect, test } from 'vitest'
import { jobView } from './job-views.ts'
import { run as runCommand } from './run-command.ts'

const ONE = jobView('v1')
const TWO = jobView('v2')

const run = (answers: Readonly<Record<string, object>>, ...words: readonly string[]) =>
  runCommand(answers, 'jobs', ...words)

describe('cli / jobs', () => {
  test('a list leaves out what ended, unless a filter asks for it; as JSON it is all there', async () => {
    const ended = { ...TWO, state: 'done' }
    const all = { 'GET /api/v1/jobs?n=1000': { jobs: [ONE, ended] } }
    const { out } = await run(all)
    expect(out).toContain(ONE.id)
    expect(out).not.toContain(TWO.id)
    expect(out).toContain('1 ended: entrepot jobs history')
    expect(JSON.parse((await run(all, '--json')).out)).toEqual([ONE, ended])
    const done = { 'GET /api/v1/jobs?state=done&n=1000': { jobs: [ended] } }
    expect((await run(done, '--state', 'done')).out).toContain(TWO.id)
  })

  test('all pages of a list are asked for, with the filters', async () => {
    const path = 'GET /api/v1/jobs?state=queued&policy=all&paused=true&n=1000'
    const { code, asked, out } = await run(
      { [path]: { jobs: [ONE], next: ONE.id }, [`${path}&last=${ONE.id}`]: { jobs: [TWO] } },
      '--state',
      'queued',
      '--policy',
      'all',
      '--paused',
    )
    expect([code, asked]).toEqual([0, [path, `${path}&last=${ONE.id}`]])
    expect(out).toContain(ONE.id)
    expect(out).toContain(TWO.id)
  })

  test.each([
    [['pause', '--link', 'hub'], 'POST /api/v1/pauses?link=hub'],
    [['pause', '--policy', 'all'], 'POST /api/v1/pauses?policy=all'],
    [['pause', '--all'], 'POST /api/v1/pauses?all=true'],
    [['resume', '--all'], 'DELETE /api/v1/pauses?all=true'],
    [['pause', 'app@sha256:1'], 'POST /api/v1/jobs/app@sha256:1/pause'],
    [['resume', 'app@sha256:1'], 'POST /api/v1/jobs/app@sha256:1/resume'],
    [['cancel', 'app@sha256:1'], 'POST /api/v1/jobs/app@sha256:1/cancel'],
    [['retry', 'app@sha256:1'], 'POST /api/v1/jobs/app@sha256:1/retry'],
  ])('%j asks for %s', async (words, request) => {
    const answer = request.startsWith('DELETE')
      ? { pauses: [] }
      : request.includes('pauses')
        ? { scope: 'all', sinceMs: 0 }
        : ONE
    const { code, asked } = await run({ [request]: answer }, ...words)
    expect([code, asked]).toEqual([0, [request]])
  })

  test.each([
    [['pause'], /expected one of: the id of a job, --link NODE, --policy NAME, --all/],
    [['resume', '--all', '--link', 'hub'], /expected one of/],
    [['--state', 'lost'], /Allowed choices are queued, running/],
    [['history', '--limit', '0'], /expected a whole number from 1 to 1000/],
  ])('%j is a mistake of usage, and nothing is asked', async (words, message) => {
    const { code, asked, err } = await run({}, ...words)
    expect([code, asked]).toEqual([2, []])
    expect(err).toMatch(message)
  })

  test('what the node refuses is told with its own words', async () => {
    const { code, err } = await run({}, 'retry', 'x@y')
    expect(code).toBe(1)
    expect(err).toContain('no such thing')
  })
})

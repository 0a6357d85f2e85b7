import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { runProgram } from '../../../src/cli/program.ts'
import { jobView } from './job-views.ts'

const ONE = jobView('v1')
const TWO = jobView('v2')

/** Runs a command against a node that answers as `answers` says, by method and path. */
async function run(answers: Readonly<Record<string, object>>, ...words: readonly string[]) {
  const asked: string[] = []
  const server = createServer(({ method, url = '' }, response) => {
    asked.push(`${method} ${decodeURIComponent(url)}`)
    const answer = answers[`${method} ${decodeURIComponent(url)}`]
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { error: { message: 'no such thing' } }))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const written = { out: '', err: '' }
  const keep = (name: 'out' | 'err') => (text: string | Uint8Array) => {
    written[name] += String(text)
    return true
  }
  vi.spyOn(process.stdout, 'write').mockImplementation(keep('out'))
  vi.spyOn(process.stderr, 'write').mockImplementation(keep('err'))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const code = await runProgram(['jobs', ...words, '--url', url])
  server.closeAllConnections()
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return { code, asked, ...written }
}

const listeners = process.stdout.listeners('error')

afterEach(() => {
  vi.restoreAllMocks()
  // Each run of the program adds one.
  for (const listener of process.stdout.listeners('error')) {
    if (!listeners.includes(listener)) process.stdout.off('error', listener as () => void)
  }
})

describe('cli / jobs', () => {
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

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { watchJobs } from '../../../src/cli/jobs-watch.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { changed, jobView, snapshot } from './job-views.ts'

/** A node's live stream, as a test wants it. */
async function openStream(
  isTTY: boolean,
  { json = false, fits = () => true }: { json?: boolean; fits?: (job: JobView) => boolean } = {},
) {
  const readers: ServerResponse[] = []
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    readers.push(response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const written: string[] = []
  const write = (text: string) => written.push(text) > 0
  const out = { isTTY, write, columns: 100, rows: 10 } as unknown as NodeJS.WriteStream
  const clock = createFakeClock()
  const stop = new AbortController()
  const watching = watchJobs({ clock, out }, { url, fits, json, signal: stop.signal })
  return {
    url,
    clock,
    out,
    watching,
    text: () => written.join(''),
    stop: () => stop.abort(),
    reader: (at: number) => eventually(async () => readers[at]),
    say: (reader: ServerResponse, { event, data }: { event: string; data: unknown }) =>
      reader.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await watching.catch(() => {})
      server.closeAllConnections()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

describe('cli / jobs-watch', () => {
  test('without a terminal each change is a line, without a control character', async () => {
    await using stream = await openStream(false)
    const reader = await stream.reader(0)
    stream.say(reader, snapshot([jobView('v1')]))
    stream.say(reader, changed(jobView('v1', { state: 'running' })))
    stream.say(reader, changed(jobView('v1', { state: 'done', bytesDone: 7 })))
    await eventually(async () => stream.text().includes('done (7 B)') || undefined)
    const lines = stream.text().trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(stream.text().replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
    stream.stop()
    await stream.watching
  })

  test('for a program each event is a line of JSON, of the jobs that are asked for', async () => {
    const fits = ({ references }: JobView) => references[0] === 'v1'
    await using stream = await openStream(true, { json: true, fits })
    const reader = await stream.reader(0)
    const [one, other] = [jobView('v1'), jobView('v2')]
    stream.say(reader, snapshot([one, other]))
    stream.say(reader, changed({ ...other, state: 'running' }))
    stream.say(reader, { event: 'neighbour-up', data: { node: 'hub' } })
    stream.say(reader, { event: 'jobs-reset', data: { kind: 'jobs-reset' } })
    stream.say(reader, changed({ ...one, state: 'done' }))
    await eventually(async () => stream.text().includes('"done"') || undefined)
    const lines = stream.text().trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { event: 'snapshot', status: { node: 'edge', paused: [] }, jobs: [one] },
      { event: 'jobs-reset', kind: 'jobs-reset' },
      { event: 'job-changed', job: { ...one, state: 'done' } },
    ])
  })

  test('on a terminal it draws over its own lines, and leaves the cursor as it was', async () => {
    await using stream = await openStream(true)
    const reader = await stream.reader(0)
    stream.say(reader, snapshot([jobView('v1')]))
    await eventually(async () => stream.text().includes('1 queued') || undefined)
    stream.say(reader, changed(jobView('v1', { state: 'running', phase: 'manifest' })))
    await eventually(async () => {
      await stream.clock.advance(200)
      return stream.text().includes('1 running') || undefined
    })
    // Up over the two lines that it drew before.
    expect(stream.text()).toContain('\u001b[2A\u001b[2K')
    stream.stop()
    await stream.watching
    expect(stream.text().endsWith('\u001b[?25h')).toBe(true)
    expect(stream.text().split('\u001b[?25l')).toHaveLength(2)
  })

  test('a node that ends is waited for, and what it says then replaces what was known', async () => {
    await using stream = await openStream(false)
    const first = await stream.reader(0)
    stream.say(first, snapshot([jobView('v1')]))
    await eventually(async () => stream.text().includes('1 open') || undefined)
    first.destroy()
    await eventually(async () => stream.text().includes('connecting again') || undefined)
    await eventually(async () => stream.clock.sleeping() > 0 || undefined)
    await stream.clock.advance(1_000)
    const second = await stream.reader(1)
    stream.say(second, snapshot([]))
    await eventually(async () => stream.text().includes('0 open') || undefined)
  })

  test('a node that was never reached is an error with advice', async () => {
    const clock = createFakeClock()
    const out = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream
    const { signal } = new AbortController()
    const options = { url: 'http://127.0.0.1:1', fits: () => true, signal }
    await expect(watchJobs({ clock, out }, options)).rejects.toThrow(
      /no node answers .*Is it running/,
    )
  })
})

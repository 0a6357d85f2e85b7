/** The command line, run in this process against a node that answers what a test says. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, vi } from 'vitest'
import { runProgram } from '../../../src/cli/program.ts'

/** Runs a command against a node that answers as `answers` says, by method and path. */
export async function run(answers: Readonly<Record<string, object>>, ...words: readonly string[]) {
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
  const code = await runProgram([...words, ...(words.includes('--data') ? [] : ['--url', url])])
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

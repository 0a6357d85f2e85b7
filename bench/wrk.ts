/** Small requests from `wrk`: in C, so that it is not what limits; it counts answers, their bytes and their latency. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Load } from './load.ts'

/** Requests are made before the clock runs; each connection asks for the paths in turn. */
const SCRIPT = `
local requests, at = {}, 0
function init(args)
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format('GET', path, { Accept = args[2] })
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"bytes":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
`

export interface WrkAsk {
  readonly url: string
  readonly paths: readonly string[]
  readonly accept: string
  readonly connections: number
  readonly seconds: number
  /** Bytes that each answer's body must have. */
  readonly bodyBytes: number
}

/** An answer's headers are somewhere between these, bytes: so the count of all bytes says whether bodies were whole. */
const HEADER_BYTES = { min: 60, max: 1_200 }

/** @throws when an answer failed or was not as long as it must be */
export async function runWrk(program: string, ask: WrkAsk): Promise<Load> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-wrk-'))
  try {
    const script = join(directory, 'paths.lua')
    const list = join(directory, 'paths')
    await writeFile(script, SCRIPT)
    await writeFile(list, ask.paths.join('\n'))
    const flags = ['-t1', `-c${ask.connections}`, `-d${ask.seconds}s`, '--timeout', '20s']
    const command = [...flags, '-s', script, ask.url, '--', list, ask.accept]
    const { stdout } = await promisify(execFile)(program, command)
    const line = stdout.split('\n').find((one) => one.startsWith('{'))
    const { errors, ...load } = JSON.parse(line ?? '{}') as Load & { readonly errors: number }
    if (!(load.requests > 0) || errors !== 0) throw new Error(`${ask.url}: ${stdout}`)
    // Answers under way at the end are in the bytes and not in the requests.
    const least = load.requests * (ask.bodyBytes + HEADER_BYTES.min)
    const most = (load.requests + ask.connections) * (ask.bodyBytes + HEADER_BYTES.max)
    if (load.bytes < least || load.bytes > most) {
      const message = `${ask.url}: expected ${least} to ${most} bytes in ${load.requests} answers, got ${load.bytes}`
      throw new Error(message)
    }
    return { ...load, bytes: load.requests * ask.bodyBytes }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

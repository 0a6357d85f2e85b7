import { existsSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { exchange, type RawAnswer } from '../helpers/raw-http.ts'
import { comparePull, pushBlob, pushImage } from '../helpers/registry-calls.ts'
import { CANARY, startHostileNode } from './hostile-node.ts'
import { hostileBytes, KNOWN, UPLOAD_ID } from './hostile-requests.ts'

/** Milliseconds of fuzzing. */
const DURATION_MS = process.env.CI === undefined ? 8_000 : 60_000
/** Requests at once. */
const LANES = 48
/** Of the time: caches, compiled code and the heap have reached their size by then. */
const WARM_UP = 0.3
/** MiB between warm-up and end: garbage that the collector, which has 256 MiB, has not come to yet. */
const MAX_GROWTH_MIB = 120
/** Small, so that whatever waits for more bytes is cut while the test looks; room for every upload that is begun. */
const LIMITS = ['header-timeout=1000', 'idle-timeout=1000', 'stall-timeout=1000', 'uploads=100000']

/** Why an answer is not one that a sound node gives; undefined for a sound one. */
function faultOf(bytes: string, answer: RawAnswer): string | undefined {
  const { status, headers, body, text } = answer
  if (text.includes(CANARY) || text.includes('PRIVATE KEY'))
    return 'shows a file that is no content'
  if (status === undefined) return undefined
  const isBound = status === 503 && body.includes('TOOMANYREQUESTS') && headers.has('retry-after')
  if (status >= 500 && !isBound) return `answers ${status}`
  // A HEAD has no body; what follows a first request on the same connection is not looked at.
  const isForm = !/^(?!HEAD)\S+ \/v2\//.test(bytes) || isOciError(answer)
  return isForm ? undefined : 'answers with an error that is not of the OCI form'
}

/** What Node's parser refuses before there is a request that could be routed: it answers without a body. */
const PARSER_ANSWERS = [400, 408, 413, 417, 431]

/** Errors below /v2/ have the form of the OCI API. */
function isOciError({ status = 0, body }: RawAnswer): boolean {
  if (status < 400) return true
  // An answer to a second request on the connection may follow.
  const isEmpty = /^(?:0\r\n\r\n)?(?:HTTP\/1\.|$)/.test(body)
  if (isEmpty && PARSER_ANSWERS.includes(status)) return true
  return /^\{"errors":\[\{"code":"[A-Z_]+","message":/.test(body)
}

test.runIf(existsSync('/proc/self/fd'))(
  'under requests that mean harm a node neither fails, hangs, grows nor leaves its directory',
  async () => {
    await using hostile = await startHostileNode(LIMITS)
    const { node, port } = hostile
    const before = await hostile.outside()
    const push = async () => {
      await pushBlob(node.url, 'team/app', KNOWN)
      await pushImage(node.url, 'team/app', 'v1', makeImage('known'))
    }
    await push()
    const files = await hostile.openFiles()
    const warm = performance.now() + DURATION_MS * WARM_UP
    let warmMiB: number | undefined
    let requests = 0
    let upload = UPLOAD_ID
    const seen = new Map<number | undefined, number>()
    const property = fc.asyncProperty(hostileBytes, async (bytes) => {
      const answer = await exchange(port, [bytes.replaceAll(UPLOAD_ID, upload)])
      upload = answer.headers.get('docker-upload-uuid') ?? upload
      const fault = faultOf(bytes, answer)
      if (fault !== undefined) {
        const got = `${fault}\nwith ${answer.text.slice(0, 500)}`
        throw new Error(
          `${JSON.stringify(bytes.slice(0, 1_000))}: ${got}\n${node.log().slice(-2_000)}`,
        )
      }
      requests += 1
      // What was deleted comes back, or soon there would be nothing to reach.
      if (answer.status === 202 && bytes.startsWith('DELETE')) await push()
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
      if (performance.now() > warm) warmMiB ??= await hostile.residentMiB()
    })
    const run = () =>
      fc.assert(property, {
        numRuns: 1_000_000,
        interruptAfterTimeLimit: DURATION_MS,
        endOnFailure: true,
      })
    // Side by side: one that has to be cut takes a second.
    await Promise.all(Array.from({ length: LANES }, run))
    // It got far enough to mean something: past the parser, and past the routes.
    expect(requests).toBeGreaterThan(100)
    for (const status of [200, 202, 400, 404]) {
      expect(seen.get(status), `answers of ${status}`).toBeGreaterThan(0)
    }

    expect(node.pid).toBe(hostile.pid)
    expect(await hostile.residentMiB()).toBeLessThan((warmMiB ?? 0) + MAX_GROWTH_MIB)
    await eventually(async () => (await hostile.openFiles()).length <= files.length)
    expect(await hostile.outside()).toEqual(before)
    expect(await hostile.oddNames()).toEqual([])
    expect(node.log()).not.toMatch(/unhandled|request failed/i)
    const image = makeImage('after')
    await pushImage(node.url, 'team/app', 'v2', image)
    await comparePull(node.url, 'team/app', 'v2', image)
  },
)

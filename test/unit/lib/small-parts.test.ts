import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reasonOf } from '../../../src/lib/abort.ts'
import { backoffMs } from '../../../src/lib/backoff.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { writeDurably } from '../../../src/lib/durable-file.ts'
import { codeOf, EntrepotError, messageOf } from '../../../src/lib/errors.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { createSeenSet } from '../../../src/lib/seen-set.ts'

describe('lib / backoff', () => {
  test('a delay lies between half the bound and the bound, and the bound doubles up to the cap', () => {
    const options = { firstMs: 1_000, capMs: 60_000 }
    const at = (attempt: number, fraction: number) =>
      backoffMs(attempt, options, { ...systemRandom, fraction: () => fraction })
    expect([1, 2, 3, 7, 60].map((attempt) => at(attempt, 0))).toEqual([
      500, 1_000, 2_000, 30_000, 30_000,
    ])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), (attempt) => {
        const bound = Math.min(60_000, 1_000 * 2 ** Math.min(attempt - 1, 30))
        const ms = backoffMs(attempt, options, systemRandom)
        expect(ms).toBeGreaterThanOrEqual(bound / 2)
        expect(ms).toBeLessThanOrEqual(bound)
      }),
    )
  })
})

describe('lib / seen-set', () => {
  test('what was added is new once', () => {
    const seen = createSeenSet({ limit: 10 })
    expect([seen.add('a'), seen.add('a'), seen.add('b')]).toEqual([true, false, true])
  })

  test('beyond the bound the oldest is forgotten, and only that one', () => {
    const seen = createSeenSet({ limit: 2 })
    for (const item of ['a', 'b', 'c']) seen.add(item)
    expect([seen.add('b'), seen.add('c'), seen.add('a')]).toEqual([false, false, true])
  })
})

describe('lib / errors', () => {
  test('an error carries its code, its context and its cause', () => {
    const cause = new Error('below')
    const error = new EntrepotError('DATA_IN_USE', 'stop it', { cause, context: { at: 1 } })
    expect([codeOf(error), error.cause, error.context]).toEqual(['DATA_IN_USE', cause, { at: 1 }])
    expect('cause' in new EntrepotError('X', 'x')).toBe(false)
  })

  test('anything thrown has a message, and only text counts as a code', () => {
    expect([messageOf('text'), messageOf(new Error('e')), messageOf(undefined)]).toEqual([
      'text',
      'e',
      'undefined',
    ])
    expect([codeOf({ code: 5 }), codeOf(null), codeOf('x')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('lib / abort', () => {
  test('a reason that is no error becomes an AbortError', () => {
    const own = new Error('mine')
    expect(reasonOf(AbortSignal.abort(own))).toBe(own)
    expect(reasonOf(AbortSignal.abort('text')).name).toBe('AbortError')
  })
})

describe('lib / clock', () => {
  test('a sleep of the system clock ends at once when it is aborted', async () => {
    const stop = new AbortController()
    const sleep = systemClock.sleep(3_600_000, { signal: stop.signal })
    stop.abort()
    await expect(sleep).rejects.toThrow()
  })
})

describe('lib / random', () => {
  test('bytes come in the size asked for and fractions in [0, 1)', () => {
    expect(systemRandom.bytes(12)).toHaveLength(12)
    expect(systemRandom.bytes(12)).not.toEqual(systemRandom.bytes(12))
    const fraction = systemRandom.fraction()
    expect(fraction >= 0 && fraction < 1).toBe(true)
  })
})

describe('lib / durable-file', () => {
  test('a file is replaced as a whole, in directories that are made, and nothing is left beside it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-durable-'))
    try {
      const path = join(directory, 'a', 'b', 'file')
      await writeDurably(path, 'first', { mode: 0o600 })
      await writeDurably(path, 'second', { mode: 0o600 })
      expect(await readFile(path, 'utf8')).toBe('second')
      expect(await readdir(join(directory, 'a', 'b'))).toEqual(['file'])
      expect((await stat(path)).mode & 0o777).toBe(0o600)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})

describe('lib / logger', () => {
  test('a log line carries its fields on standard error, and no credentials', () => {
    const program = `
      import { createLogger } from './src/lib/logger.ts'
      const logger = createLogger({ node: 'a' }, { logLevel: 'info' }).child({ room: 'x' })
      logger.debug({}, 'not shown')
      logger.info({ token: 'hunter2', headers: { authorization: 'hunter2' }, size: 3 }, 'shown')
    `
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { encoding: 'utf8' },
    )
    expect(stdout).toBe('')
    const lines = stderr.trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      node: 'a',
      room: 'x',
      size: 3,
      msg: 'shown',
    })
    expect(stderr).not.toContain('hunter2')
  })
})

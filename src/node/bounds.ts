/** How much a node takes on: one table of what is bounded for clients, each row with unit, default, limits and reason. */
import { z } from 'zod'
import { EntrepotError } from '../lib/errors.ts'
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts'

export interface Bound {
  readonly unit: string
  readonly default: number
  readonly least: number
  readonly greatest: number
  /** What happens when it is reached. */
  readonly reached: string
  readonly reason: string
}

const KIB = 1024
const TIB = 1024 ** 4
const HOUR_MS = 3_600_000

export const BOUNDS = {
  connections: {
    unit: 'connections',
    default: 4_000,
    least: 1,
    greatest: 1_000_000,
    reached: 'the new connection is closed',
    reason:
      'each is a file descriptor and some 20 KiB; a cluster of 1,000 machines opens three each',
  },
  requests: {
    unit: 'requests under way',
    default: 1_000,
    least: 1,
    greatest: 100_000,
    reached: '503, `Retry-After`; `/healthz` and `/readyz` still answer',
    reason: 'each that moves a blob holds up to 2 MiB and one open file',
  },
  headerBytes: {
    unit: 'bytes',
    default: 16 * KIB,
    least: 4 * KIB,
    greatest: 1024 * KIB,
    reached: '431',
    reason: 'a path has a name of 255 and a digest, percent signs triple it; a token fits',
  },
  headerTimeout: {
    unit: 'ms',
    default: 20_000,
    least: 100,
    greatest: HOUR_MS,
    reached: '408, the connection is closed',
    reason: 'headers are one packet; who sends them slower holds a socket for nothing',
  },
  idleTimeout: {
    unit: 'ms',
    default: 75_000,
    least: 100,
    greatest: HOUR_MS,
    reached: 'the connection is closed',
    reason: 'longer than common clients and proxies keep theirs, so that they close first',
  },
  stallTimeout: {
    unit: 'ms',
    default: 300_000,
    least: 100,
    greatest: 24 * HOUR_MS,
    reached: 'the connection is closed; an upload goes on from what came, a download by `Range`',
    reason:
      'a client that compresses while it sends is silent for minutes; none for longer is alive',
  },
  stallBytes: {
    unit: 'bytes in one `stall-timeout`',
    default: 64 * KIB,
    least: 1,
    greatest: 1024 * KIB,
    reached: 'counts as silence: see `stall-timeout`',
    reason:
      '1.7 kbit/s: slower than any link on which an image is moved, but a byte now and then holds a socket for ever',
  },
  uploads: {
    unit: 'upload sessions',
    default: 1_000,
    least: 1,
    greatest: 100_000,
    reached:
      'the one that was idle for longest ends (404 BLOB_UPLOAD_UNKNOWN), first of those without a byte, then of those idle for 10 min; where there is none 503 TOOMANYREQUESTS, `Retry-After`',
    reason: 'each is a file that may grow to a layer and stays 24 h without its client',
  },
  uploadBytes: {
    unit: 'bytes',
    default: TIB,
    least: 1,
    greatest: Number.MAX_SAFE_INTEGER,
    reached: '413 SIZE_INVALID; what came is removed',
    reason:
      'above any layer that clients can unpack; lower it where one push must not fill the disk',
  },
  manifestBytes: {
    unit: 'bytes',
    default: MAX_MANIFEST_BYTES,
    least: 1 * KIB,
    greatest: MAX_MANIFEST_BYTES,
    reached: '413 MANIFEST_INVALID',
    reason:
      'what the specification asks for and neighbours accept from each other; it is held in memory',
  },
  passedOn: {
    unit: 'requests passed on to writers at once',
    default: 200,
    least: 1,
    greatest: 100_000,
    reached: '503 TOOMANYREQUESTS, `Retry-After`',
    reason:
      'each that moves a layer holds a socket to either side and some 300 KiB; clients send five at once',
  },
  readBack: {
    unit: 'ms',
    default: 10_000,
    least: 0,
    greatest: HOUR_MS,
    reached:
      'a starting writer signs without having read what neighbours that do not answer know; it logs that',
    reason: 'a dial over a slow link, a hello and a first page; a push waits so long at most',
  },
  jobHistory: {
    unit: 'jobs that ended',
    default: 1_000,
    least: 0,
    greatest: 100_000,
    reached: 'the one that ended first is forgotten',
    reason: 'a night of a site; some 1 KiB each in memory, 2 KiB in the index, over restarts',
  },
  loopDelay: {
    unit: 'ms, 99th percentile of 5 s',
    default: 1_000,
    least: 20,
    greatest: HOUR_MS,
    reached:
      'new uploads wait, and after 10 s get 503 TOOMANYREQUESTS, `Retry-After`; reads and pushes under way go on',
    reason:
      'a turn that waits a second makes every client wait seconds; a pull that is refused stops a start elsewhere, a push is tried again',
  },
} as const satisfies Readonly<Record<string, Bound>>

export type BoundName = keyof typeof BOUNDS
export type Bounds = Readonly<Record<BoundName, number>>

export const BOUND_NAMES = Object.keys(BOUNDS) as readonly BoundName[]

export const DEFAULT_BOUNDS = Object.fromEntries(
  BOUND_NAMES.map((name) => [name, BOUNDS[name].default]),
) as Bounds

/** As an operator writes it: `header-bytes`. */
export function flagOf(name: BoundName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The variable that sets it: `ENTREPOT_LIMIT_HEADER_BYTES`. */
export function variableOf(name: BoundName): string {
  return `ENTREPOT_LIMIT_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
}

/**
 * Flags `NAME=VALUE` over environment over defaults; the last flag of a name counts.
 * @throws CONFIG_INVALID with what was expected
 */
export function resolveBounds(
  flags: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Bounds {
  const bounds = { ...DEFAULT_BOUNDS }
  for (const name of BOUND_NAMES) {
    const text = environment[variableOf(name)]
    if (text !== undefined) bounds[name] = parseValue(name, variableOf(name), text)
  }
  for (const flag of flags) {
    const [word, text = ''] = flag.split('=', 2)
    const name = BOUND_NAMES.find((known) => flagOf(known) === word)
    if (name === undefined) {
      const known = BOUND_NAMES.map(flagOf).join(', ')
      throw invalid(`--limit must be NAME=VALUE with one of ${known}; got ${flag}`)
    }
    bounds[name] = parseValue(name, `--limit ${word}`, text)
  }
  return bounds
}

function parseValue(name: BoundName, where: string, text: string): number {
  const { least, greatest, unit } = BOUNDS[name]
  const digits = z.string().regex(/^\d+$/).transform(Number)
  const parse = digits.pipe(z.int().min(least).max(greatest)).safeParse(text)
  if (parse.success) return parse.data
  throw invalid(
    `${where} must be a whole number from ${least} to ${greatest} (${unit}); got ${text || 'nothing'}`,
  )
}

function invalid(message: string): EntrepotError {
  return new EntrepotError('CONFIG_INVALID', message)
}

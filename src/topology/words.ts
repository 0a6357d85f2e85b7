/** The words that a topology file is written with: names, globs, times, sizes, rates. Each says what was expected. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { parseDuration } from '../lib/duration.ts'
import { calendarProblem } from './calendar.ts'
import { imageGlobProblem, repositoryGlobProblem, tagGlobProblem } from './glob.ts'
import { cronProblem, timeZoneProblem } from './schedule.ts'
import { semverProblem } from './semver-range.ts'

const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const EXPECTED_NAME = 'expected a node name: a-z, 0-9 and -, at most 63 characters'

export const NODE_NAME = z.string().regex(NAME_PATTERN, EXPECTED_NAME)

export const PEER_ID = z
  .string()
  .regex(
    /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/,
    'expected an Ed25519 peer id (12D3KooW...), as `entrepot identity show` prints it',
  )

const REPOSITORY_GLOB = worded(repositoryGlobProblem)
export const TAG_GLOB = worded(tagGlobProblem)
export const IMAGE_GLOB = worded(imageGlobProblem)
export const SEMVER_RANGE = worded(semverProblem)
export const CRON = worded(cronProblem)
export const CALENDAR = worded(calendarProblem)
export const TIME_ZONE = worded(timeZoneProblem)
/** Of the place where a window is meant. */
export const TIME_ZONE_OR_SITE = worded((text) =>
  text === 'site' || timeZoneProblem(text) === undefined
    ? undefined
    : 'expected a time zone such as Europe/Berlin or UTC, or `site` for that of the receiver',
)
export const INSTANT = z.iso.datetime({
  offset: true,
  error: 'expected a time like 2026-12-31T23:59:59Z',
})
const EXPECTED_TEXT = 'expected 1 to 128 characters'
/** Names and labels are printed: none may move the cursor, or turn the order of what is read. */
export const TEXT = z
  .string()
  .min(1, EXPECTED_TEXT)
  .max(128, EXPECTED_TEXT)
  .refine(
    (text) => !/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u.test(text),
    'expected one line of text, without control characters',
  )
export const REPOSITORY_GLOBS = z.array(REPOSITORY_GLOB).min(1, 'expected at least one glob')

/** In the file as people write it; milliseconds inside. */
const EXPECTED_TIME = 'expected a time such as 90s, 5m, 2h or 7d'
export const DURATION = z
  .string(EXPECTED_TIME)
  .regex(/^[1-9]\d{0,8}(d|h|m|s|ms)$/, EXPECTED_TIME)
  .transform((text) => parseDuration(text) ?? 0)

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

const EXPECTED_SIZE = 'expected a size such as 500MB, 200GiB or 2TB'
/** `200GiB`; bytes inside. */
export const SIZE = z
  .string(EXPECTED_SIZE)
  .regex(/^\d{1,9}(?:\.\d{1,3})?(?:B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/, EXPECTED_SIZE)
  .transform((text) => {
    const [, number, unit = ''] = /^([\d.]+)(\w+)$/.exec(text) ?? []
    return Math.round(Number(number) * (SIZE_UNITS[unit] ?? 1))
  })

const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, Mbit: 1e6, Gbit: 1e9 }

const EXPECTED_RATE = 'expected a rate such as 800kbit, 20Mbit or 1Gbit (bits a second)'
/** `20Mbit`; bits a second inside. */
export const RATE = z
  .string(EXPECTED_RATE)
  .regex(/^\d{1,6}(?:\.\d{1,3})?(?:kbit|Mbit|Gbit)$/, EXPECTED_RATE)
  .transform((text) => {
    const [, number, unit = ''] = /^([\d.]+)(\w+)$/.exec(text) ?? []
    return Math.round(Number(number) * (RATE_UNITS[unit] ?? 1))
  })

const EXPECTED_SHARE = 'expected a share such as 20%'
/** `20%`; a share from 0 to 1 inside. */
export const SHARE = z
  .string(EXPECTED_SHARE)
  .regex(/^(?:100|[1-9]?\d)%$/, EXPECTED_SHARE)
  .transform((text) => Number(text.slice(0, -1)) / 100)

/** `linux/amd64`, `linux/arm/v7`. */
export const PLATFORM = z
  .string()
  .regex(
    /^[a-z0-9]+\/[a-z0-9]+(?:\/[a-z0-9]+)?$/,
    'expected a platform such as linux/amd64 or linux/arm/v7',
  )

const REPOSITORY_PATTERN = '[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*'

export const REPOSITORY = z
  .string()
  .max(255, 'expected at most 255 characters')
  .regex(new RegExp(`^${REPOSITORY_PATTERN}$`), 'expected a repository, such as acme/api')

export const IMAGE = z
  .string()
  .regex(
    new RegExp(`^${REPOSITORY_PATTERN}:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`),
    'expected REPOSITORY:TAG, such as acme/api:1.4.2',
  )

/** A node name, "*", a list of names, or labels and locality that must match; "!x" = any value but x. */
export const SELECTOR = z.union(
  [
    TEXT,
    z.array(NODE_NAME).min(1, 'expected at least one node'),
    z
      .record(TEXT, TEXT)
      .refine(
        (labels) => Object.keys(labels).length > 0,
        'expected at least one label; every node is "*"',
      ),
  ],
  { error: 'expected a node name, "*", a list of node names, or a map of labels' },
)

export const POLICY_NAMES = z
  .array(TEXT)
  .min(1, 'expected at least one policy: a link without any lets nothing through')

/** Clients find a registry at the root of a host only; credentials do not belong into this file. */
export const ENDPOINT = z
  .string()
  .refine(isEndpoint, 'expected http://HOST:PORT or https://HOST:PORT, without a path')

export const MESH_ADDRESS = z
  .string()
  .refine(
    isMesh,
    'expected a multiaddr such as /ip4/192.0.2.1/tcp/4001 or /dns4/node.example/tcp/4001',
  )

/** A text for which `problem` says nothing; what it says is what was expected. */
function worded(problem: (text: string) => string | undefined) {
  return z.string().superRefine((text, context) => {
    const expected = problem(text)
    if (expected !== undefined) context.addIssue({ code: 'custom', message: expected, input: text })
  })
}

function isEndpoint(text: string): boolean {
  const url = /^https?:\/\/[^/?#@\s\\]+$/.test(text) ? URL.parse(text) : null
  return url !== null && url.port !== '0'
}

/** A TCP address that can be dialled, so not port 0. */
function isMesh(text: string): boolean {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/\s]+)\/tcp\/(\d{1,5})$/.exec(text)
  const [, kind, host = '', port] = match ?? []
  if (kind === undefined || Number(port) < 1 || Number(port) > 65_535) return false
  if (kind === 'ip4') return isIP(host) === 4
  if (kind === 'ip6') return isIP(host) === 6
  return /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host)
}

export type SelectorText = z.infer<typeof SELECTOR>

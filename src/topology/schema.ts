/** The schema of a topology file, `apiVersion: entrepot/v1`: the type, the validator, and what is not yet in this version. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { parseDuration } from '../lib/duration.ts'
import { repositoryGlobProblem, tagGlobProblem } from './glob.ts'

const NODE_NAME = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'expected a node name: a-z, 0-9 and -, at most 63 characters',
  )

const PEER_ID = z
  .string()
  .regex(
    /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/,
    'expected an Ed25519 peer id (12D3KooW...), as `entrepot identity show` prints it',
  )

const REPOSITORY_GLOB = glob(repositoryGlobProblem)
const TAG_GLOB = glob(tagGlobProblem)
const UNTIL = z.iso.datetime({ offset: true, error: 'expected a time like 2026-12-31T23:59:59Z' })
const TEXT = z.string().min(1).max(128)
/** In the file as people write it; milliseconds inside. */
const DURATION = z.string().transform((text, context) => {
  const ms = parseDuration(text)
  if (ms !== undefined && ms > 0) return ms
  const message = 'expected a time such as 90s, 5m, 2h or 7d'
  context.addIssue({ code: 'custom', message, input: text })
  return z.NEVER
})

/** A node name, "*", a list of names, or labels and locality that must match; "!x" = any value but x. */
const SELECTOR = z.union(
  [
    TEXT,
    z.array(NODE_NAME).min(1),
    z
      .record(TEXT, TEXT)
      .refine(
        (labels) => Object.keys(labels).length > 0,
        'expected at least one label; every node is "*"',
      ),
  ],
  { error: 'expected a node name, "*", a list of node names, or a map of labels' },
)

export const NODE = z.strictObject({
  locality: z
    .strictObject({ region: TEXT.optional(), zone: TEXT.optional(), site: TEXT.optional() })
    .default({}),
  labels: z.record(TEXT, TEXT).default({}),
  endpoint: z
    .string()
    .refine(isEndpoint, 'expected http://HOST:PORT or https://HOST:PORT, without a path')
    .optional(),
  mesh: z
    .string()
    .refine(
      isMesh,
      'expected a multiaddr such as /ip4/192.0.2.1/tcp/4001 or /dns4/node.example/tcp/4001',
    )
    .optional(),
  peerId: PEER_ID.optional(),
  formerPeerIds: z.array(z.strictObject({ peerId: PEER_ID, until: UNTIL })).default([]),
})

export const ORIGIN = z.strictObject({
  repos: z.array(REPOSITORY_GLOB).min(1, 'expected at least one glob'),
  writers: SELECTOR,
  elsewhere: z.literal('reject').default('reject'),
  conflict: z
    .discriminatedUnion('tags', [
      z.strictObject({
        tags: z.literal('register'),
        resolve: z.literal('hlc-lww'),
        /** What becomes of a push that lost: without it, it stays where it was pushed, reachable by digest. */
        keep: z.literal('losers-as-suffixed-tag').optional(),
      }),
      z.strictObject({ tags: z.literal('immutable') }),
    ])
    .optional(),
})

export const POLICY = z.strictObject({
  match: z.strictObject({
    repos: z.array(REPOSITORY_GLOB).min(1, 'expected at least one glob'),
    tags: z
      .strictObject({
        include: z.array(TAG_GLOB).default(['*']),
        exclude: z.array(TAG_GLOB).default([]),
      })
      .default({ include: ['*'], exclude: [] }),
  }),
  mode: z.literal('eager'),
  untagged: z.boolean().default(false),
  /** What is meant to be kept; nothing flows differently by it. */
  slo: z.strictObject({ lag: DURATION }).optional(),
})

const POLICY_NAMES = z
  .array(TEXT)
  .min(1, 'expected at least one policy: a link without any lets nothing through')

export const LINK = z.discriminatedUnion('shape', [
  z.strictObject({
    shape: z.literal('star'),
    center: SELECTOR,
    leaves: SELECTOR,
    flow: z.enum(['out', 'in', 'both']).default('out'),
    policies: POLICY_NAMES,
  }),
  z.strictObject({
    shape: z.literal('tree'),
    parent: SELECTOR,
    children: SELECTOR,
    match: z.enum(['region', 'zone']).optional(),
    policies: POLICY_NAMES,
  }),
  z.strictObject({ shape: z.literal('mesh'), members: SELECTOR, policies: POLICY_NAMES }),
])

export const TOPOLOGY_SCHEMA = z.strictObject({
  apiVersion: z.literal('entrepot/v1'),
  kind: z.literal('Topology'),
  metadata: z.strictObject({ name: TEXT, generation: z.int().min(1) }),
  nodes: z.record(
    NODE_NAME,
    z.preprocess((node) => node ?? {}, NODE),
  ),
  origins: z.array(ORIGIN).min(1),
  policies: z.record(TEXT, POLICY),
  links: z.array(LINK),
})

export type TopologyDocument = z.infer<typeof TOPOLOGY_SCHEMA>
export type SelectorText = z.infer<typeof SELECTOR>
export type LinkDocument = TopologyDocument['links'][number]

/** Keys of the language that this version does not know yet: refused by name, so that nobody believes they work. */
export const LATER_KEYS: ReadonlySet<string> = new Set([
  'enroll',
  'upstreams',
  'gates',
  'levels',
  'receipts',
  'tests',
  'owner',
  'storage',
  'extends',
  'schedule',
  'deletes',
  'platforms',
  'referrers',
  'semver',
  'fetch',
  'bandwidth',
  'transport',
  'oneWay',
  'direction',
  'onLoser',
  'archive',
])

/** Values that are words of the language, but not yet of this version. */
export const LATER_VALUES: ReadonlySet<unknown> = new Set([
  'redirect',
  'proxy',
  'lazy',
  'scheduled',
  'manual',
  'ring',
  'first-writer',
])

function glob(problem: (text: string) => string | undefined) {
  return z.string().superRefine((text, context) => {
    const expected = problem(text)
    if (expected !== undefined) context.addIssue({ code: 'custom', message: expected, input: text })
  })
}

/** Clients find a registry at the root of a host only; credentials do not belong into this file. */
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

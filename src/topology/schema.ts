/** The schema of the topology file, entry by entry, so that one bad entry does not hide what is wrong with another. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { repositoryGlobProblem, tagGlobProblem } from './glob.ts'

/** Entries of each map or list. A larger file is rather a mistake; every check takes at most quadratic time in these. */
const MAX_NODES = 4096
const MAX_LINKS = 256
const MAX_POLICIES = 256
const MAX_ORIGINS = 1024
/** Entries of the small lists inside. */
const MAX_GLOBS = 256
const MAX_FORMER_KEYS = 16
const MAX_LABELS = 64

const NAME_TEXT = 'expected 1 to 63 characters a-z, 0-9 and "-", not at an end'
export const NAME = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, NAME_TEXT)
/** The text form of an Ed25519 public key. */
const PEER_ID = z
  .string()
  .regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, 'expected a peer id: 12D3KooW and 44 characters more')
const VALUE = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    'expected 1 to 63 characters A-Z, a-z, 0-9, and ". _ -" inside',
  )
const LABEL_KEY = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/,
    'expected a label key: 1 to 63 characters A-Z, a-z, 0-9, and ". _ / -" inside',
  )
const WANTED_VALUE = z
  .string()
  .regex(
    /^!?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    'expected a value, or "!value" for nodes without it',
  )

const REPOSITORY_GLOB = glob(repositoryGlobProblem)
const TAG_GLOB = glob(tagGlobProblem)
const REPOS = z.array(REPOSITORY_GLOB).min(1, 'expected at least one glob').max(MAX_GLOBS)

const SELECTOR = z.union([
  z.string(),
  z.array(z.string()).min(1, 'expected at least one node name').max(MAX_NODES),
  z
    .record(LABEL_KEY, WANTED_VALUE)
    .refine(
      (labels) => Object.keys(labels).length > 0,
      'expected at least one label; every node is "*"',
    ),
])
export type Selector = z.infer<typeof SELECTOR>

export const METADATA = z.strictObject({ name: NAME, generation: z.int().min(1) })

const LOCALITY = z.strictObject({
  region: VALUE.optional(),
  zone: VALUE.optional(),
  site: VALUE.optional(),
})
export const LOCALITY_KEYS = Object.keys(LOCALITY.shape)

const FORMER_KEY = z.strictObject({
  peerId: PEER_ID,
  until: z.iso.datetime({ offset: true, error: 'expected a time like 2026-12-31T23:59:59Z' }),
})

export const NODE = z.strictObject({
  locality: LOCALITY.default({}),
  labels: z
    .record(
      LABEL_KEY.refine(
        (key) => !LOCALITY_KEYS.includes(key),
        'expected another key: this one belongs under "locality"',
      ),
      VALUE,
    )
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS, `expected at most ${MAX_LABELS}`)
    .default({}),
  endpoint: z
    .string()
    .refine(isEndpoint, 'expected scheme, host and port, as in https://registry.example.org:5000')
    .optional(),
  mesh: z
    .string()
    .refine(isMesh, 'expected a TCP multiaddr without /p2p, as in /dns4/registry.example.org/tcp/4001')
    .optional(),
  peerId: PEER_ID.optional(),
  formerPeerIds: z.array(FORMER_KEY).max(MAX_FORMER_KEYS).default([]),
})

const REGISTER = z.strictObject({ tags: z.literal('register'), resolve: z.enum(['hlc-lww']) })
const IMMUTABLE = z.strictObject({ tags: z.literal('immutable') })

export const ORIGIN = z.strictObject({
  repos: REPOS,
  writers: SELECTOR,
  elsewhere: z.enum(['reject']).default('reject'),
  conflict: z.discriminatedUnion('tags', [REGISTER, IMMUTABLE]).optional(),
})

const TAGS = z.strictObject({
  include: z.array(TAG_GLOB).min(1, 'expected at least one glob').max(MAX_GLOBS).default(['*']),
  exclude: z.array(TAG_GLOB).max(MAX_GLOBS).default([]),
})
const MATCH = z.strictObject({
  repos: REPOS,
  tags: TAGS.default({ include: ['*'], exclude: [] }),
})

export const POLICY = z.strictObject({
  match: MATCH,
  mode: z.enum(['eager']),
  untagged: z.boolean().default(false),
})

const POLICY_NAMES = z
  .array(z.string())
  .min(1, 'expected at least one policy: a link without any lets nothing through')
  .max(MAX_POLICIES)
const STAR = z.strictObject({
  shape: z.literal('star'),
  center: SELECTOR,
  leaves: SELECTOR,
  flow: z.enum(['out', 'in', 'both']).default('out'),
  policies: POLICY_NAMES,
})
const TREE = z.strictObject({
  shape: z.literal('tree'),
  parent: SELECTOR,
  children: SELECTOR,
  match: z.enum(['region', 'zone']).optional(),
  policies: POLICY_NAMES,
})
const MESH = z.strictObject({
  shape: z.literal('mesh'),
  members: SELECTOR,
  policies: POLICY_NAMES,
})

export const LINK = z.discriminatedUnion('shape', [STAR, TREE, MESH])

export const DOCUMENT = z.strictObject({
  apiVersion: z.literal('entrepot/v1'),
  kind: z.literal('Topology'),
  metadata: z.unknown(),
  nodes: z
    .record(z.string(), z.unknown())
    .refine((nodes) => Object.keys(nodes).length > 0, 'expected at least one node')
    .refine((nodes) => Object.keys(nodes).length <= MAX_NODES, `expected at most ${MAX_NODES}`),
  origins: z.array(z.unknown()).min(1, 'expected at least one entry, or nobody may push').max(MAX_ORIGINS),
  policies: z
    .record(z.string(), z.unknown())
    .refine((map) => Object.keys(map).length <= MAX_POLICIES, `expected at most ${MAX_POLICIES}`)
    .default({}),
  links: z.array(z.unknown()).max(MAX_LINKS).default([]),
})

export type NodeEntry = z.infer<typeof NODE>
export type OriginEntry = z.infer<typeof ORIGIN>
export type PolicyEntry = z.infer<typeof POLICY>
export type LinkEntry = z.infer<typeof LINK>

/** Every object of the language by where it stands; `*` is any key or position. For answers about unknown keys. */
export const SHAPES: Readonly<Record<string, readonly { readonly shape: object }[]>> = {
  '': [DOCUMENT],
  metadata: [METADATA],
  'nodes.*': [NODE],
  'nodes.*.locality': [LOCALITY],
  'nodes.*.formerPeerIds.*': [FORMER_KEY],
  'origins.*': [ORIGIN],
  'origins.*.conflict': [REGISTER, IMMUTABLE],
  'policies.*': [POLICY],
  'policies.*.match': [MATCH],
  'policies.*.match.tags': [TAGS],
  'links.*': [STAR, TREE, MESH],
}

function glob(problem: (text: string) => string | undefined) {
  return z.string().superRefine((text, context) => {
    const expected = problem(text)
    if (expected !== undefined) {
      context.addIssue({ code: 'custom', message: `expected ${expected}`, input: text })
    }
  })
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false
  // Clients find a registry at the root of a host only, and credentials do not belong into this file.
  return `${url.protocol}//${url.host}` === text.replace(/\/$/, '').replace(/:(80|443)$/, defaultPort(url))
}

/** URL drops the port of its scheme. */
function defaultPort(url: URL): string {
  return url.port === '' ? '' : `:${url.port}`
}

function isMesh(text: string): boolean {
  const [, kind, host = '', port] = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})$/.exec(text) ?? []
  if (kind === undefined || Number(port) < 1 || Number(port) > 65535) return false
  if (kind === 'ip4') return isIP(host) === 4
  if (kind === 'ip6') return isIP(host) === 6
  return /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(host)
}

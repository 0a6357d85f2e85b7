/** The schema of a topology file, `apiVersion: entrepot/v1`: the type and the validator. Defaults and units: docs/TOPOLOGY.md. */
import { z } from 'zod'
import { LINK } from './link-schema.ts'
import { TEST } from './test-schema.ts'
import {
  CRON,
  DURATION,
  ENDPOINT,
  IMAGE_GLOB,
  INSTANT,
  MESH_ADDRESS,
  NODE_NAME,
  PEER_ID,
  PLATFORM,
  REPOSITORY_GLOB,
  SELECTOR,
  SEMVER_RANGE,
  SHARE,
  SIZE,
  TAG_GLOB,
  TEXT,
  TIME_ZONE,
} from './words.ts'

const REPOSITORY_GLOBS = z.array(REPOSITORY_GLOB).min(1, 'expected at least one glob')

export const NODE = z.strictObject({
  kind: z.literal('node').default('node'),
  locality: z
    .strictObject({ region: TEXT.optional(), zone: TEXT.optional(), site: TEXT.optional() })
    .default({}),
  labels: z.record(TEXT, TEXT).default({}),
  /** What `tz: site` and calendars mean here. */
  timeZone: TIME_ZONE.default('UTC'),
  endpoint: ENDPOINT.optional(),
  mesh: MESH_ADDRESS.optional(),
  peerId: PEER_ID.optional(),
  formerPeerIds: z.array(z.strictObject({ peerId: PEER_ID, until: INSTANT })).default([]),
  storage: z
    .strictObject({
      max: SIZE,
      evict: z.enum(['lru', 'none']).default('lru'),
      /** Never evicted. */
      pin: z.array(IMAGE_GLOB).default([]),
    })
    .optional(),
})

export const ORIGIN = z.strictObject({
  repos: REPOSITORY_GLOBS,
  writers: SELECTOR,
  elsewhere: z.enum(['reject', 'redirect', 'proxy']).default('reject'),
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

const MATCH = z.strictObject({
  repos: REPOSITORY_GLOBS,
  tags: z
    .strictObject({
      semver: SEMVER_RANGE.optional(),
      include: z.array(TAG_GLOB).default(['*']),
      exclude: z.array(TAG_GLOB).default([]),
    })
    .default({ include: ['*'], exclude: [] }),
  /** Of an index, the images of these platforms only; without it all of them. */
  platforms: z.array(PLATFORM).min(1, 'expected at least one platform').optional(),
})

const DELETES = z.strictObject({
  propagate: z.boolean(),
  /** So long after it was written a delete is applied. */
  grace: DURATION.optional(),
  /** So many of a repository's tags stay whatever is deleted. */
  keepLast: z.int().min(1).max(10_000).optional(),
  /** A delete of more than this share of a repository's tags waits for a person. */
  guard: SHARE.optional(),
})

/** As it is after `extends` was resolved. */
export const POLICY = z.strictObject({
  extends: TEXT.optional(),
  match: MATCH,
  mode: z.enum(['eager', 'lazy', 'scheduled', 'manual']),
  schedule: z
    .strictObject({ cron: CRON, window: DURATION, tz: z.union([z.literal('site'), TIME_ZONE]) })
    .optional(),
  untagged: z.boolean().default(false),
  /** Jobs of a higher number go first. */
  priority: z.int().min(-10).max(10).default(0),
  deletes: DELETES.default({ propagate: false }),
  /** What is meant to be kept; nothing flows differently by it. */
  slo: z.strictObject({ lag: DURATION }).optional(),
})

export const TOPOLOGY_SCHEMA = z.strictObject({
  apiVersion: z.literal('entrepot/v1'),
  kind: z.literal('Topology'),
  metadata: z.strictObject({
    name: TEXT,
    generation: z.int().min(1),
    /** The realm owner's public key: who has its secret key may change the topology of running nodes. */
    owner: PEER_ID.optional(),
  }),
  nodes: z.record(
    NODE_NAME,
    z.preprocess((node) => node ?? {}, NODE),
  ),
  origins: z.array(ORIGIN).min(1),
  policies: z.record(TEXT, POLICY),
  links: z.array(LINK),
  tests: z.array(TEST).default([]),
})

export type TopologyDocument = z.infer<typeof TOPOLOGY_SCHEMA>
export type LinkDocument = TopologyDocument['links'][number]
export type PolicyDocument = z.infer<typeof POLICY>
export type TestDocument = z.infer<typeof TEST>

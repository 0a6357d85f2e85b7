/** The schema of a node: where it is, how it is reached, who it is, how much it may keep. */
import { z } from 'zod'
import {
  ENDPOINT,
  IMAGE_GLOB,
  INSTANT,
  MESH_ADDRESS,
  PEER_ID,
  SIZE,
  TEXT,
  TIME_ZONE,
} from './words.ts'

const LOCALITY = z.strictObject({
  region: TEXT.optional().describe('The largest part, such as eu. Default: none.'),
  zone: TEXT.optional().describe('Within the region, such as fra. Default: none.'),
  site: TEXT.optional().describe('Within the zone, such as hall-3. Default: none.'),
})

const FORMER_KEY = z.strictObject({
  peerId: PEER_ID.describe('The key that was replaced, as a peer id.'),
  until: INSTANT.describe(
    'What it signed up to this moment (RFC 3339) counts; later records do not.',
  ),
})

const STORAGE = z.strictObject({
  max: SIZE.describe('Size, such as 200GiB or 500MB: so much content is kept.'),
  evict: z
    .enum(['lru', 'none'])
    .default('lru')
    .describe(
      'lru: what was pulled least recently goes first. none: nothing goes, what has no room is refused. Default: lru.',
    ),
  pin: z
    .array(IMAGE_GLOB)
    .default([])
    .describe(
      'Globs over REPOSITORY:TAG that are never evicted, such as plant/**:stable. Default: [].',
    ),
})

export const NODE = z.strictObject({
  kind: z.literal('node').default('node').describe('A process that runs entrepot. Default: node.'),
  locality: LOCALITY.default({}).describe(
    'Where the node is, from large to small; selectors and `fetch: peers-first` go by it. Default: {}.',
  ),
  labels: z
    .record(TEXT, TEXT)
    .default({})
    .describe(
      'Any keys with text values, for selectors. Numbers and true need quotes. Default: {}.',
    ),
  timeZone: TIME_ZONE.optional().describe(
    'IANA name such as Europe/Berlin: what `tz: site` and the calendars of `bandwidth` mean here. Default: UTC.',
  ),
  endpoint: ENDPOINT.optional().describe(
    'http://HOST:PORT or https://HOST:PORT of the registry, for other nodes and clients. Default: `entrepot up` fills it in.',
  ),
  mesh: MESH_ADDRESS.optional().describe(
    'Where neighbours dial: a multiaddr such as /dns4/hub.example/tcp/4001. Default: `entrepot up` fills it in.',
  ),
  peerId: PEER_ID.optional().describe(
    'The public key of the node, as `entrepot identity show` prints it. Default: `entrepot up` fills it in.',
  ),
  formerPeerIds: z
    .array(FORMER_KEY)
    .default([])
    .describe('Keys that were replaced, each with the end of its rights. Default: [].'),
  storage: STORAGE.optional().describe('How much content the node keeps. Default: no bound.'),
})

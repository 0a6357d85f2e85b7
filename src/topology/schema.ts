/**
 * The schema of a topology file, `apiVersion: entrepot/v1`: the type, the validator, and the texts that editors show. Every key
 * says its unit and its default; docs/TOPOLOGY.md explains them.
 */
import { z } from 'zod'
import { LINK } from './link-schema.ts'
import { NODE } from './node-schema.ts'
import { ORIGIN } from './origin-schema.ts'
import { DERIVED_POLICY, POLICY } from './policy-schema.ts'
import { TEST } from './test-schema.ts'
import { NODE_NAME, PEER_ID, TEXT } from './words.ts'

const EXPECTED_GENERATION = 'expected a whole number from 1'

const METADATA = z.strictObject({
  name: TEXT.describe(
    'The realm: every record carries it, so it never changes during the life of a mesh.',
  ),
  generation: z
    .int(EXPECTED_GENERATION)
    .min(1, EXPECTED_GENERATION)
    .describe('A whole number from 1, larger with every change of the file.'),
  owner: PEER_ID.optional().describe(
    "The realm owner's public key, as a peer id: who has its secret key may change the topology of running nodes. Default: nobody may.",
  ),
})

export const TOPOLOGY_SCHEMA = z.strictObject({
  apiVersion: z.literal('entrepot/v1').describe('The version of the language.'),
  kind: z.literal('Topology').describe('What the file is.'),
  metadata: METADATA.describe('What the mesh is called, and which file of it this is.'),
  nodes: z
    .record(
      NODE_NAME,
      z.nullable(NODE).transform((node) => node ?? NODE.parse({})),
    )
    .refine((nodes) => Object.keys(nodes).length > 0, 'expected at least one node')
    .describe(
      'Who is there, by name: a-z, 0-9 and -, at most 63 characters. The order means nothing.',
    ),
  origins: z
    .array(ORIGIN)
    .min(1, 'expected at least one entry: nobody could push anything')
    .describe('Who may write what; of the entries that match a repository the first holds.'),
  policies: z.record(TEXT, POLICY).describe('What links let through, by name.'),
  links: z.array(LINK).describe('Who is joined with whom, by which policies.'),
  tests: z
    .array(TEST)
    .default([])
    .describe(
      'What the file promises; checked by `entrepot topology check` and before a file takes effect. Default: [].',
    ),
})

/** As people write it: a policy that extends another may leave out what that one says. */
export const WRITTEN_SCHEMA = TOPOLOGY_SCHEMA.extend({
  policies: z
    .record(TEXT, z.union([POLICY, DERIVED_POLICY]))
    .describe(TOPOLOGY_SCHEMA.shape.policies.description ?? ''),
})

export type TopologyDocument = z.infer<typeof TOPOLOGY_SCHEMA>
export type LinkDocument = TopologyDocument['links'][number]
export type PolicyDocument = z.infer<typeof POLICY>
export type TestDocument = z.infer<typeof TEST>

/** The schema of links: five shapes, and what all of them may say. */
import { z } from 'zod'
import { CALENDAR, NODE_NAME, POLICY_NAMES, RATE, SELECTOR } from './words.ts'

const BANDWIDTH = z.strictObject({
  when: CALENDAR.optional().describe(
    'Days, hours or both, such as "Mon-Fri 08:00-18:00", in the `timeZone` of the receiver. Default: always.',
  ),
  down: RATE.optional().describe(
    'Bits a second such as 20Mbit: from center to leaf, parent to child, `from` to `to`. Default: no bound.',
  ),
  up: RATE.optional().describe(
    'Bits a second the other way. In a mesh or ring the lower of both holds each way. Default: no bound.',
  ),
})

const COMMON = {
  policies: POLICY_NAMES.describe('Names of policies; what any of them lets through passes.'),
  fetch: z
    .enum(['link-only', 'peers-first'])
    .default('link-only')
    .describe(
      'Whom a receiver asks for bytes: peers-first = the senders of this link before those of other links, nearest first. Default: link-only, no such preference.',
    ),
  bandwidth: z
    .array(BANDWIDTH)
    .default([])
    .describe(
      'How fast bytes go from any one node to any one other; the first entry whose calendar holds counts. Default: [], as fast as they go.',
    ),
}

const SHAPE = {
  star: z.literal('star').describe('A center and its leaves.'),
  tree: z.literal('tree').describe('Parents, each with its children.'),
  mesh: z.literal('mesh').describe('Each member with each other one.'),
  ring: z.literal('ring').describe('Each member with the next one, the last with the first.'),
  explicit: z
    .literal('explicit')
    .default('explicit')
    .describe('Without `shape`: from some nodes to others, one way.'),
}

/** `shape` may be left out where `from` or `to` says it; elsewhere it is missing, and the union says so. */
export const LINK = z.preprocess(
  (link) =>
    typeof link === 'object' && link !== null && !('from' in link) && !('to' in link)
      ? { shape: null, ...link }
      : link,
  z.discriminatedUnion('shape', [
    z.strictObject({
      shape: SHAPE.star,
      center: SELECTOR.describe('The nodes in the middle, mostly one.'),
      leaves: SELECTOR.describe(
        'The nodes around; they are no neighbours of each other by this link.',
      ),
      flow: z
        .enum(['out', 'in', 'both'])
        .default('out')
        .describe('out = center to leaves; in = leaves to center; both. Default: out.'),
      ...COMMON,
    }),
    z.strictObject({
      shape: SHAPE.tree,
      parent: SELECTOR.describe('The nodes that send.'),
      children: SELECTOR.describe('The nodes that receive.'),
      match: z
        .enum(['region', 'zone'])
        .optional()
        .describe(
          'A parent has the children of its own region, or zone. Default: every parent has all of them.',
        ),
      ...COMMON,
    }),
    z.strictObject({
      shape: SHAPE.mesh,
      members: SELECTOR.describe('The nodes that send to each other.'),
      ...COMMON,
    }),
    z.strictObject({
      shape: SHAPE.ring,
      members: z
        .array(NODE_NAME)
        .min(2, 'expected at least two members')
        .describe('Names of nodes, in the order of the ring.'),
      direction: z
        .enum(['both', 'forward'])
        .default('both')
        .describe(
          'forward = each sends to the next one only; a ring of one way has no spare path. Default: both.',
        ),
      ...COMMON,
    }),
    z.strictObject({
      shape: SHAPE.explicit,
      from: SELECTOR.describe('The nodes that send.'),
      to: SELECTOR.describe('The nodes that receive.'),
      ...COMMON,
    }),
  ]),
)

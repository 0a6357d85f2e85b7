/** The schema of links: five shapes, and what all of them may say. */
import { z } from 'zod'
import { CALENDAR, NODE_NAME, POLICY_NAMES, RATE, SELECTOR } from './words.ts'

const COMMON = {
  policies: POLICY_NAMES,
  /** Of whom bytes may be fetched: of the sending end, or of any neighbour that holds them. */
  fetch: z.enum(['link-only', 'peers-first']).default('link-only'),
  /** The first entry whose calendar holds counts. */
  bandwidth: z
    .array(
      z.strictObject({ when: CALENDAR.optional(), down: RATE.optional(), up: RATE.optional() }),
    )
    .default([]),
}

/** Without `shape`: `from`, `to`. */
export const LINK = z.preprocess(
  (link) =>
    typeof link === 'object' && link !== null && !Array.isArray(link) && !('shape' in link)
      ? { shape: 'explicit', ...link }
      : link,
  z.discriminatedUnion('shape', [
    z.strictObject({
      shape: z.literal('star'),
      center: SELECTOR,
      leaves: SELECTOR,
      flow: z.enum(['out', 'in', 'both']).default('out'),
      ...COMMON,
    }),
    z.strictObject({
      shape: z.literal('tree'),
      parent: SELECTOR,
      children: SELECTOR,
      match: z.enum(['region', 'zone']).optional(),
      ...COMMON,
    }),
    z.strictObject({ shape: z.literal('mesh'), members: SELECTOR, ...COMMON }),
    z.strictObject({
      shape: z.literal('ring'),
      members: z.array(NODE_NAME).min(2, 'expected at least two members'),
      direction: z.enum(['both', 'forward']).default('both'),
      ...COMMON,
    }),
    z.strictObject({ shape: z.literal('explicit'), from: SELECTOR, to: SELECTOR, ...COMMON }),
  ]),
)

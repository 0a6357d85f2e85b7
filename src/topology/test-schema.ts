/** The schema of in-file tests: what a topology promises, in a form that can be checked without running it. */
import { z } from 'zod'
import { DURATION, NODE_NAME, PLATFORM, TEXT } from './words.ts'

const NAMES = z.array(NODE_NAME)
const NAME = { name: TEXT }
/** REPOSITORY:TAG */
const IMAGE = z
  .string()
  .regex(
    /^[a-z0-9]+(?:(?:[._]|__|-+|\/)[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
    'expected REPOSITORY:TAG, such as acme/api:1.4.2',
  )
const DOWN = { down: NAMES.min(1).optional() }

/** Where an image that is pushed at `from` comes to. */
const REACH = z.strictObject({
  ...NAME,
  ...DOWN,
  from: NODE_NAME,
  image: IMAGE,
  /** Of an index, the image of this platform. */
  platform: PLATFORM.optional(),
  /** Its bytes are on disk there by themselves. */
  present: NAMES.optional(),
  /** It is served there on request. */
  available: NAMES.optional(),
  /** Its bytes are not on disk there by themselves. */
  notPresent: NAMES.optional(),
  /** It is neither present nor served. */
  absent: NAMES.optional(),
  /** With `present`: at the latest so long after the push. */
  within: DURATION.optional(),
  /** The longest way that it takes to a node, in links. */
  maxHops: z.int().min(1).max(100).optional(),
})

const PUSH = z.strictObject({
  ...NAME,
  push: z.strictObject({ node: NODE_NAME, repo: TEXT }),
  expect: z.enum(['accepted', 'rejected', 'redirected', 'proxied']),
})

/** The nodes between two. */
const PATH = z.strictObject({
  ...NAME,
  path: z.strictObject({ from: NODE_NAME, to: NODE_NAME }),
  /** Each way leads over all of these; an empty list: the two are neighbours. */
  via: NAMES,
})

/** What a client gets that pulls at a node while others are down. */
const PULL = z.strictObject({
  ...NAME,
  ...DOWN,
  pull: z.strictObject({ node: NODE_NAME, image: IMAGE }),
  expect: z.enum(['local', 'fetched', 'absent']),
})

const LINT = z.strictObject({ ...NAME, lint: TEXT, expect: z.literal('clean') })

/** By the key that only one kind has; zod says best what is wrong when it knows which kind was meant. */
export const TEST = z.union([REACH, PUSH, PATH, PULL, LINT], {
  error:
    'expected a test: `from` and `image` with present, available, notPresent or absent; or `push`, `path`, `pull` or `lint` with what is expected',
})

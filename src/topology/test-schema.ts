/** The schema of in-file tests: what a topology promises, in a form that can be checked without running it. */
import { z } from 'zod'
import { LINT_NAMES } from './lint-names.ts'
import { DURATION, IMAGE, NODE_NAME, PLATFORM, REPOSITORY, TEXT } from './words.ts'

const NAMES = z.array(NODE_NAME)
const EXPECTED_HOPS = 'expected a whole number from 1 to 100'
const NAME = { name: TEXT.describe('What is promised, in words.') }
const DOWN = {
  down: NAMES.min(1, 'expected at least one node')
    .optional()
    .describe('These nodes are away. Default: none.'),
}

/** Where an image that is pushed at `from` comes to. */
const REACH = z.strictObject({
  ...NAME,
  ...DOWN,
  from: NODE_NAME.describe('The node at which the image is pushed.'),
  image: IMAGE.describe('REPOSITORY:TAG that is pushed.'),
  platform: PLATFORM.optional().describe(
    'Of an index, the image of this platform. Default: the whole.',
  ),
  present: NAMES.optional().describe(
    'Nodes that have its bytes on disk by themselves. Default: none.',
  ),
  available: NAMES.optional().describe('Nodes that serve it when they are asked. Default: none.'),
  notPresent: NAMES.optional().describe(
    'Nodes that do not have its bytes on disk by themselves. Default: none.',
  ),
  absent: NAMES.optional().describe('Nodes that neither have nor serve it. Default: none.'),
  within: DURATION.optional().describe(
    'With `present`: at the latest so long after the push, such as 5m. Default: no matter when.',
  ),
  maxHops: z
    .int(EXPECTED_HOPS)
    .min(1, EXPECTED_HOPS)
    .max(100, EXPECTED_HOPS)
    .optional()
    .describe(
      'The longest way that it takes to a node, in links, 1 to 100. Default: no matter how long.',
    ),
})

/** What a client gets that pushes. */
const PUSH = z.strictObject({
  ...NAME,
  push: z
    .strictObject({
      node: NODE_NAME.describe('The node at which a client pushes.'),
      repo: REPOSITORY.describe('The repository that it pushes to.'),
    })
    .describe('A push.'),
  expect: z
    .enum(['accepted', 'rejected', 'redirected', 'proxied'])
    .describe('What becomes of it: see `elsewhere` of `origins`.'),
})

/** The nodes between two. */
const PATH = z.strictObject({
  ...NAME,
  path: z
    .strictObject({
      from: NODE_NAME.describe('Where the way begins.'),
      to: NODE_NAME.describe('Where it ends.'),
    })
    .describe('The ways of links between two nodes.'),
  via: NAMES.describe('Each way leads over all of these; []: the two are neighbours.'),
})

/** What a client gets that pulls at a node while others are down. */
const PULL = z.strictObject({
  ...NAME,
  ...DOWN,
  pull: z
    .strictObject({
      node: NODE_NAME.describe('The node at which a client pulls.'),
      image: IMAGE.describe('REPOSITORY:TAG that it pulls, pushed before the others went down.'),
    })
    .describe('A pull.'),
  expect: z
    .enum(['local', 'fetched', 'absent'])
    .describe(
      'local = from its own disk; fetched = it gets it from another node first; absent = 404.',
    ),
})

/** What the reader of the file thinks of it. */
const LINT = z.strictObject({
  ...NAME,
  lint: z.enum(LINT_NAMES).describe('The name of a lint, as findings end with it.'),
  expect: z.literal('clean').describe('The lint finds nothing.'),
})

/** Each kind by a key that it alone has, in the order of the union. */
const KIND_KEYS = [['from', 'image'], ['push'], ['path'], ['pull'], ['lint']] as const

export const TEST = z.union([REACH, PUSH, PATH, PULL, LINT], {
  error:
    'expected a test: `from` and `image` with present, available, notPresent or absent; or `push`, `path`, `pull` or `lint` with what is expected',
})

/** Which kind was meant, as a number in the union; -1 where no key says so. A place is no sign of a reach where a push, path, pull or lint stands. */
export function meantTest(test: unknown): number {
  const has = (key: string) => typeof test === 'object' && test !== null && Object.hasOwn(test, key)
  return KIND_KEYS.findLastIndex((keys) => keys.some(has))
}

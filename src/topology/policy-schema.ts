/** The schema of a policy: what a link lets through, and how its receivers take it. */
import { z } from 'zod'
import {
  CRON,
  DURATION,
  PLATFORM,
  REPOSITORY_GLOBS,
  SEMVER_RANGE,
  SHARE,
  TAG_GLOB,
  TEXT,
  TIME_ZONE_OR_SITE,
} from './words.ts'

const EXPECTED_PRIORITY = 'expected a whole number from -10 to 10'
const EXPECTED_COUNT = 'expected a whole number from 1 to 10000'

const TAGS = z.strictObject({
  semver: SEMVER_RANGE.optional().describe(
    'A range of versions as node-semver reads it, such as ">=1.2.0 <2" or "^3"; other tags do not pass. Default: none.',
  ),
  include: z
    .array(TAG_GLOB)
    .default(['*'])
    .describe('Globs over tags that pass; an empty list lets none through. Default: ["*"].'),
  exclude: z
    .array(TAG_GLOB)
    .default([])
    .describe('Globs over tags that do not pass, even if included or in range. Default: [].'),
})

const MATCH = z.strictObject({
  repos: REPOSITORY_GLOBS.describe('Globs over repository names, such as acme/**.'),
  tags: TAGS.default({ include: ['*'], exclude: [] }).describe(
    'Which tags; of `semver`, `include` and `exclude` all must agree. Default: every tag.',
  ),
  platforms: z
    .array(PLATFORM)
    .min(1, 'expected at least one platform')
    .optional()
    .describe(
      'Of an index only the images of these platforms are fetched, such as linux/arm64; the index itself stays as it is. Default: all.',
    ),
})

const SCHEDULE = z.strictObject({
  cron: CRON.describe(
    'When a window opens: five fields, minute hour day month weekday, such as "0 1 * * *".',
  ),
  window: DURATION.describe('How long it stays open, such as 4h.'),
  tz: TIME_ZONE_OR_SITE.describe(
    'In which time zone `cron` is read: an IANA name, or site = the `timeZone` of the receiver.',
  ),
})

const DELETES = z.strictObject({
  propagate: z.boolean().describe('Whether receivers that are no writers apply deletes.'),
  grace: DURATION.optional().describe(
    'So long after it was written a delete is applied, such as 24h. Default: at once.',
  ),
  keepLast: z
    .int(EXPECTED_COUNT)
    .min(1, EXPECTED_COUNT)
    .max(10_000, EXPECTED_COUNT)
    .optional()
    .describe('So many tags of a repository, the newest, stay whatever is deleted. Default: none.'),
  guard: SHARE.optional().describe(
    "Deletes of more than this share of a repository's tags wait for a person, such as 20%. Default: none wait.",
  ),
})

/** As it is after `extends` was resolved. */
export const POLICY = z.strictObject({
  extends: TEXT.optional().describe(
    'A policy that this one completes: what is not written here is taken from it, of `match` key by key. Default: none.',
  ),
  match: MATCH.describe('What passes.'),
  mode: z
    .enum(['eager', 'lazy', 'scheduled', 'manual'])
    .describe(
      "How a receiver takes it. eager = at once; lazy = when a client asks; scheduled = inside the windows of `schedule`; manual = at a person's word, `entrepot pull`.",
    ),
  schedule: SCHEDULE.optional().describe(
    'With `mode: scheduled`: when bytes may move. News is known at once. Default: none.',
  ),
  untagged: z
    .boolean()
    .default(false)
    .describe('Manifests pushed by digest, without subject, pass too. Default: false.'),
  priority: z
    .int(EXPECTED_PRIORITY)
    .min(-10, EXPECTED_PRIORITY)
    .max(10, EXPECTED_PRIORITY)
    .default(0)
    .describe('From -10 to 10: transfers of a higher one go first. Default: 0.'),
  deletes: DELETES.default({ propagate: false }).describe(
    'What a receiver does with deletes. Default: { propagate: false }, it goes on showing what it holds.',
  ),
  slo: z
    .strictObject({
      lag: DURATION.describe('So soon after the push each receiver shall hold it, such as 5m.'),
    })
    .optional()
    .describe(
      'What is promised. Nothing flows differently; it is measured, and tests reckon with it. Default: none.',
    ),
})

const INHERITED = 'Default: that of the policy that is extended.'

/** As it is written with `extends`: nothing else has to stand there. */
export const DERIVED_POLICY = POLICY.extend({
  extends: TEXT.describe(POLICY.shape.extends.description ?? ''),
  match: MATCH.extend({
    repos: MATCH.shape.repos.optional().describe(`${MATCH.shape.repos.description} ${INHERITED}`),
  })
    .optional()
    .describe(`What passes, where it differs. ${INHERITED}`),
  mode: POLICY.shape.mode.optional().describe(`${POLICY.shape.mode.description} ${INHERITED}`),
})

/** Why an image is at a node, or is not: the shape of the answer. */
import { z } from 'zod'
import { JOB } from './job-view.ts'

const HOP = z.object({
  from: z.string(),
  to: z.string(),
  /** Policies of the link that let it through; none = the link filters it out. */
  passing: z.array(z.string()),
  filtering: z.array(z.object({ policy: z.string(), by: z.enum(['repository', 'tag']) })),
})

const VERDICTS = [
  'held',
  'adopted',
  'deleted-here-still-served',
  'deleted',
  'not-wanted',
  'on-request',
  'on-word',
  'fetching',
  'queued',
  'waiting',
  'on-hold',
  'gone',
  'settling',
  'parked',
  'not-heard-of',
  'filtered',
  'no-path',
  'no-writer',
] as const

export const WHY = z.object({
  node: z.string(),
  repository: z.string(),
  reference: z.string(),
  verdict: z.enum(VERDICTS),
  /** The answer for a person. */
  sentence: z.string(),
  /** What it rests on, a line each. */
  facts: z.array(z.string()),
  /** What the newest record names. */
  wanted: z.string().optional(),
  /** What the node serves. */
  held: z.string().optional(),
  /** From a writer to the node. */
  path: z.array(HOP),
  job: JOB.optional(),
  holders: z.array(z.object({ node: z.string(), state: z.enum(['up', 'down']) })),
})

export type WhyView = z.infer<typeof WHY>
export type Verdict = WhyView['verdict']

/** The shapes of the administration API: schema and type in one; the OpenAPI document is made from them. */
import { z } from 'zod'
import type { CollectedKind } from '../events/mesh-event.ts'
import { JOB_STATES, PAUSE } from './job-view.ts'
import { TOPOLOGY_STATE } from './topology-view.ts'

const NEIGHBOUR = z.object({
  name: z.string(),
  state: z.enum(['up', 'down']),
  sinceMs: z.number(),
  /** This node fetches from it. */
  isSource: z.boolean(),
  generation: z.int().optional(),
  /** It runs another topology than this node. */
  differs: z.boolean().optional(),
  /** Bits a second at which bytes may come from it now; 0: none may. Absent: as fast as they go. */
  limit: z.number().optional(),
  /** Its clock minus that of this node. */
  clockOffsetMs: z.number().optional(),
  lastError: z.string().optional(),
})

export const STATUS = z.object({
  node: z.string(),
  version: z.string(),
  peerId: z.string(),
  realm: z.string(),
  generation: z.int(),
  topologyHash: z.string(),
  topology: TOPOLOGY_STATE,
  endpoint: z.string(),
  startedAtMs: z.number(),
  isReady: z.boolean(),
  time: z.object({
    /** Mesh time minus the clock of this node, and the nodes whose clocks say so. */
    offsetMs: z.number(),
    sources: z.array(z.string()).readonly(),
    /** Why pushes and deletes are refused: the clock is wrong. */
    refusal: z.string().optional(),
  }),
  feed: z.object({ epoch: z.string(), head: z.int() }),
  neighbours: z.array(NEIGHBOUR),
  jobs: z.partialRecord(z.enum(JOB_STATES), z.int()),
  /** What a person has stopped. */
  paused: z.array(PAUSE).readonly(),
  /** Repositories whose deletes wait for a person; absent where there are none. */
  heldUpDeletes: z
    .array(
      z.object({
        repository: z.string(),
        deletes: z.int(),
        /** That the node shows, the deleted ones included. */
        tags: z.int(),
        sinceMs: z.number(),
      }),
    )
    .optional(),
  /** Bytes of content, where the topology sets a budget. */
  storage: z
    .object({
      usedBytes: z.number(),
      maxBytes: z.number(),
      /** It is too much, and nothing more may go. */
      isOverfull: z.boolean(),
    })
    .optional(),
  counters: z.record(z.string(), z.int()),
})

export const RECORD = z.object({
  id: z.string(),
  kind: z.enum(['put', 'delete']),
  /** Of concurrent pushes one is the winner, the others lost; replaced: a record that is kept has seen it. */
  role: z.enum(['visible', 'winner', 'loser', 'replaced', 'delete']),
  /** Node name, or the peer id where no node of the topology has it. */
  writer: z.string(),
  /** ISO 8601, of the logical time. */
  time: z.string(),
  /** What its author knew: by writer, the time of the newest record. */
  seen: z.record(z.string(), z.string()),
  digest: z.string().optional(),
  size: z.int().optional(),
  /** The node serves it: under the reference, or as a loser under its tag. */
  isServed: z.boolean().optional(),
  /** The tag of a loser, where the origin keeps them. */
  tag: z.string().optional(),
})

const BEHIND = z.object({
  node: z.string(),
  state: z.enum(['up', 'down']),
  /** Of the digests that are known here, those that it said it holds. */
  holds: z.array(z.string()),
  /** It did not say that it holds what is visible; absent where it says nothing to this node. */
  isBehind: z.boolean().optional(),
})

export const RECORDS = z.object({
  repository: z.string(),
  reference: z.string(),
  known: z.array(RECORD),
  /** What the newest record names. */
  visible: z.string().optional(),
  /** What this node serves. */
  held: z.string().optional(),
  /** For which platforms; absent where that is all of it. */
  heldFor: z.array(z.string()).optional(),
  /** The node still serves what the writer deleted. */
  deletedAtOrigin: z.boolean(),
  /** The delete is applied here, not before; milliseconds since the Unix epoch. */
  goesAtMs: z.number().optional(),
  /** What the planner says: nothing to do and why, or what it would do. */
  plan: z.string(),
  /** Only where one reference is asked for. */
  neighbours: z.array(BEHIND).optional(),
})

/** Pass it as `last` for the next page; absent at the end. */
const NEXT = z.string().optional()

export const RECORDS_PAGE = z.object({ records: z.array(RECORDS), next: NEXT })

const KINDS = [
  'manifest',
  'link',
  'blob',
  'stage',
  'upload',
] as const satisfies readonly CollectedKind[]

export const COLLECTION = z.object({
  isDryRun: z.boolean(),
  items: z.array(
    z.object({
      kind: z.enum(KINDS),
      repository: z.string().optional(),
      name: z.string(),
      bytes: z.int(),
      reason: z.string(),
      dueAtMs: z.number(),
      /** Gone; in a dry run: would be gone. */
      isDue: z.boolean(),
    }),
  ),
  /** Items that the answer had no room for; the totals count them. */
  leftOff: z.int(),
  counts: z.record(z.enum(KINDS), z.int()),
  /** Of files: manifests and links are rows of the index. */
  freedBytes: z.int(),
})

export const FAILURE = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

export type CollectionView = z.infer<typeof COLLECTION>
export type StatusView = z.infer<typeof STATUS>
export type RecordsPage = z.infer<typeof RECORDS_PAGE>
export type RecordsView = z.infer<typeof RECORDS>
export type RecordView = z.infer<typeof RECORD>

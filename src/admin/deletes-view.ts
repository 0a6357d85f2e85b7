/** Deletes of other writers at a node: the shape of the answers. */
import { z } from 'zod'
import type { DeleteState } from '../planner/delete-states.ts'

const KEEPING = ['kept-last', 'held-up', 'with-image'] as const satisfies readonly DeleteState[]
const STATES = ['in-grace', ...KEEPING, 'due'] as const satisfies readonly DeleteState[]

const DELETE = z.object({
  reference: z.string(),
  deletedAtMs: z.number(),
  /** Not applied before. */
  dueAtMs: z.number(),
  /**
   * `kept-last`: of the newest tags, which stay. `held-up`: too many at once, it waits for a person. `with-image`: it is about an
   * image that stays.
   */
  state: z.enum(STATES),
  /** Of one in its grace: why it would not go when that is over, as things are. */
  afterGrace: z.enum(KEEPING).optional(),
})

const REPOSITORY = z.object({
  repository: z.string(),
  /** Tags that the node shows, the deleted ones included. */
  tags: z.int(),
  /** Deletes that wait for a person, also those that the answer had no room for. */
  heldUp: z.int(),
  heldUpSinceMs: z.number().optional(),
  deletes: z.array(DELETE),
  /** Deletes that the answer had no room for. */
  leftOff: z.int(),
})

export const DELETES = z.object({ node: z.string(), repositories: z.array(REPOSITORY) })
export const CONFIRMED_DELETES = z.object({ repository: z.string(), confirmed: z.int() })

export type DeletesView = z.infer<typeof DELETES>
export type ConfirmedView = z.infer<typeof CONFIRMED_DELETES>

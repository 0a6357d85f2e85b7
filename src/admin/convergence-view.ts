/** The shapes by which somebody who asks every node can tell whether the mesh has converged. */
import { z } from 'zod'

export const LAG = z.object({
  policy: z.string(),
  /** That the policy brings to this node and that are not held yet. */
  records: z.int(),
  /** Age of the oldest of them; 0 without any. */
  seconds: z.number(),
  /** `slo.lag` of the policy. */
  objectiveSeconds: z.number().optional(),
  isMet: z.boolean().optional(),
})

export const CONVERGENCE = z.object({
  node: z.string(),
  /** By its own clock. */
  nowMs: z.number(),
  generation: z.int(),
  topologyHash: z.string(),
  isReady: z.boolean(),
  feed: z.object({ epoch: z.string(), head: z.int() }),
  /** It still looks through what it knew before its start. */
  isScanning: z.boolean(),
  /** News that it has not looked at yet. */
  waitingKeys: z.int(),
  jobs: z.object({
    /** All that are queued, run or wait. */
    open: z.int(),
    /** Of these: wait for a window of their schedule, and when the first of them opens; absent: none opens again. */
    waitingForWindow: z.int(),
    windowOpensMs: z.number().optional(),
    /** Of these: do not run because a person paused their policy, or everything. */
    paused: z.int(),
    /** When the oldest of the others was made. */
    oldestMs: z.number().optional(),
    /** Besides these: held by a person, one by one. */
    held: z.int(),
  }),
  damagedBlobs: z.int(),
  lag: z.array(LAG),
  neighbours: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['up', 'down']),
      sinceMs: z.number(),
      /** It is read: its links send to this node, or this node is a writer and reads back from it. */
      isSource: z.boolean(),
      /** News may come by way of it that comes by no other. */
      isNeeded: z.boolean(),
      /** How far its feed was read, since this node started. */
      read: z
        .object({ epoch: z.string(), through: z.int(), head: z.int(), atMs: z.number() })
        .optional(),
      lastError: z.string().optional(),
    }),
  ),
  /** How far others have read this node's feed, of this epoch. */
  readers: z.array(
    z.object({ node: z.string(), through: z.int(), atMs: z.number(), isWaiting: z.boolean() }),
  ),
})

export type LagView = z.infer<typeof LAG>
export type ConvergenceView = z.infer<typeof CONVERGENCE>

/** The shapes that tell which topology a node runs, and what became of one that it was given. */
import { z } from 'zod'

export const TOPOLOGY_STATE = z.object({
  /** The owner signed what runs: this node can give it to others. */
  isSigned: z.boolean(),
  /** The last file that was not taken since the start. */
  rejected: z
    .object({
      generation: z.int().optional(),
      /** A neighbour, `apply` or `reload`. */
      from: z.string(),
      reason: z.string(),
      atMs: z.number(),
    })
    .optional(),
  /** Why this node is no part of what runs: it goes on serving what it has, and takes no pushes. */
  outside: z.string().optional(),
})

export const TOPOLOGY = z.object({
  /** The node that answers. */
  node: z.string(),
  realm: z.string(),
  generation: z.int(),
  hash: z.string(),
  nodes: z.array(z.object({ name: z.string(), endpoint: z.string().optional() })),
  ...TOPOLOGY_STATE.shape,
  /** The file that runs, as it was given. */
  text: z.string(),
  /** Peer id of the key that may change it; absent: nobody may while nodes run. */
  owner: z.string().optional(),
  /** Peer id of the key that signed it. */
  signer: z.string().optional(),
})

/** An owner's word about the topology, and what became of it. */
export const TOPOLOGY_CHANGE = z.object({
  kind: z.enum(['adopted', 'known']),
  node: z.string(),
  generation: z.int(),
})

export type TopologyStateView = z.infer<typeof TOPOLOGY_STATE>
export type TopologyChangeView = z.infer<typeof TOPOLOGY_CHANGE>
export type TopologyView = z.infer<typeof TOPOLOGY>

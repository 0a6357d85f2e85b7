/** The routes about the topology itself: what runs here, and the owner's word that another one shall. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { SealedTopology } from '../gossip/topology-codec.ts'
import { MAX_TOPOLOGY_BYTES } from '../gossip/topology-codec.ts'
import { readAtMost } from '../lib/read-at-most.ts'
import { parsePeerId } from '../record/peer-id.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { AdminBindings } from './caller.ts'
import { failure } from './failure.ts'
import type { Operation } from './operation.ts'
import {
  TOPOLOGY,
  TOPOLOGY_CHANGE,
  type TopologyChangeView,
  type TopologyStateView,
  type TopologyView,
} from './topology-view.ts'

/** What became of a file. */
export type AppliedTopology =
  | { readonly kind: 'adopted' | 'known'; readonly generation: number }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }

export interface TopologyRoutesDeps {
  readonly self: NodeName
  readonly topology: Topology
  readonly topologyState: () => TopologyStateView
  /** The file that runs, and who signed it. */
  readonly topologyFile: () => { readonly text: string; readonly signer?: string | undefined }
  readonly applyTopology: (sealed: SealedTopology) => Promise<AppliedTopology>
}

/** A signed file, as JSON: the text may grow to twice its size there. */
const MAX_BODY_BYTES = 2 * MAX_TOPOLOGY_BYTES
const SIGNATURE_BYTES = 64
const NO_BODY = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() })

const BODY = z.object({
  realm: z.string().min(1).max(128),
  generation: z.int().min(1),
  text: z.string(),
  /** Peer id of the owner's key. */
  signer: z.string().max(64),
  signature: z.base64(),
})

const STATUS_OF: Readonly<Record<string, 400 | 403 | 409 | 503>> = {
  OWNER_UNKNOWN: 403,
  SIGNATURE_INVALID: 403,
  TOPOLOGY_INVALID: 400,
  TESTS_FAILED: 400,
  NODE_STARTING: 503,
  NOT_RUN: 503,
}

export const TOPOLOGY_OPERATIONS: readonly Operation[] = [
  {
    path: '/api/v1/topology',
    method: 'get',
    summary:
      'The topology that runs: its nodes and where their registries are, its text, who signed it',
    answer: TOPOLOGY,
  },
  {
    path: '/api/v1/topology',
    method: 'post',
    summary:
      'Runs another topology, which the owner of the mesh signed, here and at all who hear of it',
    body: BODY,
    answer: TOPOLOGY_CHANGE,
    others: {
      400: { description: 'TOPOLOGY_UNREADABLE, TOPOLOGY_INVALID, TESTS_FAILED: the file' },
      403: { description: 'OWNER_UNKNOWN, SIGNATURE_INVALID: the owner did not say so' },
      409: {
        description:
          'REALM_OTHER, GENERATION_OLD, NODE_UNFIT: not for this node, or not after what it runs',
      },
      503: {
        description: 'NODE_STARTING, NOT_RUN: the node could not; the topology of before runs',
      },
    },
  },
]

/** To be called after the routes of `/api/v1` are guarded. */
export function addTopologyRoutes(
  app: Hono<{ Bindings: AdminBindings }>,
  deps: TopologyRoutesDeps,
): void {
  const { self, topology, topologyState, topologyFile, applyTopology } = deps

  app.get('/api/v1/topology', (context) => {
    const { realm, generation, hash, nodes, owner } = topology
    const { text, signer } = topologyFile()
    const view: TopologyView = {
      node: self,
      realm,
      generation,
      hash,
      nodes: [...nodes.values()].map(({ name, endpoint }) => ({
        name,
        ...(endpoint === undefined ? {} : { endpoint }),
      })),
      ...topologyState(),
      text,
      ...(owner === undefined ? {} : { owner }),
      ...(signer === undefined ? {} : { signer }),
    }
    return context.json(view)
  })

  // The signature is the right to do this: it need not come from this machine.
  app.post('/api/v1/topology', async (context) => {
    const bytes = await readAtMost(context.req.raw.body ?? NO_BODY, MAX_BODY_BYTES)
    const sealed = bytes === undefined ? undefined : sealedOf(bytes)
    if (sealed === undefined) {
      const message = `expected JSON with realm, generation, text (at most ${MAX_TOPOLOGY_BYTES} bytes), signer and signature (base64), as \`entrepot topology apply\` sends it`
      return failure(context, 400, 'TOPOLOGY_UNREADABLE', message)
    }
    const outcome = await applyTopology(sealed)
    if (outcome.kind === 'refused') {
      return failure(context, STATUS_OF[outcome.code] ?? 409, outcome.code, outcome.reason)
    }
    const view: TopologyChangeView = { ...outcome, node: self }
    return context.json(view)
  })
}

function sealedOf(bytes: Uint8Array): SealedTopology | undefined {
  const body = BODY.safeParse(jsonOf(bytes)).data
  const signer = parsePeerId(body?.signer ?? '')
  const signature = Buffer.from(body?.signature ?? '', 'base64')
  const isFitting = Buffer.byteLength(body?.text ?? '') <= MAX_TOPOLOGY_BYTES
  if (body === undefined || signer === undefined || !isFitting) return undefined
  return signature.length === SIGNATURE_BYTES ? { ...body, signer, signature } : undefined
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

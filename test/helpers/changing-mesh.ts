/** A mesh whose topology changes while its nodes run, and the owner of it. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { sealTopology } from '../../src/node/topology-seal.ts'
import { generateIdentity, type Identity } from '../../src/record/identity.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { statusOf } from './admin-calls.ts'
import { eventually } from './eventually.ts'
import { type MeshOptions, type MeshProcess, startMesh } from './mesh-process.ts'
import type { NodeProcess } from './node-process.ts'

/** A topology as parsed: tests change it as they like. */
export interface Draft {
  metadata: { name: string; generation: number; owner?: string }
  nodes: Record<string, object>
  origins: object[]
  policies: Record<string, object>
  links: object[]
  tests?: object[]
}

export interface ChangingMesh extends AsyncDisposable {
  readonly mesh: MeshProcess
  readonly owner: Identity
  /** Of `owner`, PEM. */
  readonly keyFile: string
  node(name: string): NodeProcess
  /** The text of a generation: the first file of the mesh, changed. */
  text(generation: number, edit?: (draft: Draft) => void): string
  /** What the operator's file says from now on. */
  write(text: string): Promise<void>
  /** Signed and sent as `entrepot topology apply` does it. */
  apply(node: string, text: string, signer?: Identity): Promise<Response>
}

/** All nodes of the file are prepared; its first generation may lack some of them. */
export async function startChangingMesh(
  source: string,
  { first = () => {}, ...options }: MeshOptions & { readonly first?: (draft: Draft) => void } = {},
): Promise<ChangingMesh> {
  const owner = generateIdentity()
  const mesh = await startMesh({ text: source }, { ...options, start: [] })
  try {
    const whole = await readFile(mesh.topologyFile, 'utf8')
    const keyFile = join(mesh.directory, 'owner.pem')
    await writeFile(keyFile, owner.toPem(), { mode: 0o600 })
    const text = (generation: number, edit: (draft: Draft) => void = () => {}) => {
      const draft = parse(whole) as Draft
      draft.metadata = { ...draft.metadata, generation, owner: owner.peerId }
      edit(draft)
      return JSON.stringify(draft, undefined, 2)
    }
    const write = (changed: string) => writeFile(mesh.topologyFile, changed)
    await write(text(1, first))
    const started = options.start ?? mesh.nodes.map(({ name }) => name)
    await Promise.all(started.map((name) => mesh.node(name).start()))
    return {
      mesh,
      owner,
      keyFile,
      node: mesh.node,
      text,
      write,
      apply: (node, changed, signer = owner) => {
        const { realm = '', generation = 0 } = readTopology(changed).topology ?? {}
        return send(mesh.node(node), sealTopology(signer, { realm, generation, text: changed }))
      },
      [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
    }
  } catch (err) {
    await mesh[Symbol.asyncDispose]()
    throw err
  }
}

export function send(
  { url }: NodeProcess,
  sealed: ReturnType<typeof sealTopology>,
): Promise<Response> {
  const signature = Buffer.from(sealed.signature).toString('base64')
  const body = JSON.stringify({ ...sealed, signature })
  return fetch(`${url}/api/v1/topology`, { method: 'POST', body })
}

/** Resolves when the node runs the generation. */
export async function untilRuns(node: NodeProcess, generation: number): Promise<void> {
  await eventually(async () => (await statusOf(node)).generation === generation)
}

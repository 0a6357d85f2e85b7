/** The topologies that a node has run, as files in its data directory: what it runs after a restart, and what it gives to others. */
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MAX_GIVEN, type SealedTopology } from '../gossip/topology-codec.ts'
import { writeDurably } from '../lib/durable-file.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import { parsePeerId } from '../record/peer-id.ts'
import type { RunningTopology } from './topology-check.ts'

export interface KeptTopology {
  readonly realm: string
  readonly generation: number
  readonly text: string
  readonly sealed?: SealedTopology
  /** Of the nodes in it. */
  readonly peerIds: readonly string[]
}

export interface TopologyFiles {
  /** By generation, the newest last. */
  list(): readonly KeptTopology[]
  /** Resolves when it is durable. Of many the oldest go. */
  keep(running: RunningTopology): Promise<void>
  forget(generation: number): Promise<void>
  /** Files that cannot be read, with the reason. */
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[]
}

const ROW = z.object({
  realm: z.string(),
  generation: z.int().min(1),
  text: z.string(),
  peerIds: z.array(z.string()),
  /** Of the owner; base64. */
  signature: z.base64().optional(),
  signer: z.string().optional(),
})

/** Digits of the greatest safe integer: names in the order of generations. */
const DIGITS = 16

export function topologyDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'entrepot', 'topology')
}

/** @throws DATA_UNREADABLE */
export async function openTopologyFiles(dataDirectory: string): Promise<TopologyFiles> {
  const directory = topologyDirectory(dataDirectory)
  const pathOf = (generation: number) =>
    join(directory, `${String(generation).padStart(DIGITS, '0')}.json`)
  const unreadable: { path: string; reason: string }[] = []
  const kept = new Map<number, KeptTopology>()
  for (const name of await namesIn(directory)) {
    const path = join(directory, name)
    try {
      const row = keptOf(ROW.parse(JSON.parse(await readFile(path, 'utf8'))))
      kept.set(row.generation, row)
    } catch (err) {
      unreadable.push({
        path,
        reason: err instanceof z.ZodError ? z.prettifyError(err) : messageOf(err),
      })
    }
  }

  const list = () => [...kept.values()].sort((a, b) => a.generation - b.generation)

  async function forget(generation: number): Promise<void> {
    await rm(pathOf(generation), { force: true })
    kept.delete(generation)
  }

  return {
    list,
    unreadable,
    forget,
    keep: async ({ topology, text, sealed }) => {
      const { realm, generation } = topology
      const before = kept.get(generation)
      if (before?.text === text && (before.sealed !== undefined || sealed === undefined)) return
      const peerIds = [...topology.nodes.values()].flatMap(({ peerId }) => peerId ?? [])
      const { signer, signature } = sealed ?? {}
      const row: z.infer<typeof ROW> = {
        realm,
        generation,
        text,
        peerIds,
        ...(signer === undefined ? {} : { signer }),
        ...(signature === undefined
          ? {}
          : { signature: Buffer.from(signature).toString('base64') }),
      }
      await writeDurably(pathOf(generation), JSON.stringify(row), { mode: 0o600 })
      kept.set(generation, keptOf(row))
      // One that stays all the same goes the next time.
      for (const old of list().slice(0, -MAX_GIVEN)) await forget(old.generation).catch(() => {})
    },
  }
}

function keptOf({ signature, signer = '', ...row }: z.infer<typeof ROW>): KeptTopology {
  const { realm, generation, text, peerIds } = row
  const peer = parsePeerId(signer)
  const file = { realm, generation, text }
  if (signature === undefined || peer === undefined) return { ...file, peerIds }
  const sealed = { ...file, signer: peer, signature: Buffer.from(signature, 'base64') }
  return { ...file, peerIds, sealed }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.json'))
  } catch (cause) {
    // Not a directory: whoever makes the data directory says so.
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return []
    const message = `cannot read ${directory}: ${messageOf(cause)}; change its owner or mode`
    throw new EntrepotError('DATA_UNREADABLE', message, { cause })
  }
}

/** The disk of a simulated node: what survives its process, until the disk itself is lost, full, or set back to a copy. */
import { MemoryLevel } from 'memory-level'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { IndexBackend } from '../storage/index-db.ts'
import { createMemoryDisk, type MemoryDisk } from '../storage/memory-blob-store.ts'

export interface SimDisk {
  /** Another object after a restore or a loss. */
  readonly backend: IndexBackend
  readonly disk: MemoryDisk
  /** Writes fail. */
  isFull: boolean
  /** What the node's clock showed at most when a batch of the index began that failed, milliseconds since the Unix epoch. */
  failedMs: number
  /** It fills up with so many more batches of the index. */
  fullAfter: number
  /** A durable write takes up to so long, simulated milliseconds. */
  slowMs: number
  copy(): Promise<SimDiskCopy>
  /** Of a disk whose process is down: the parts that are named are as they were. */
  restore(copy: SimDiskCopy, parts: SimDiskParts): Promise<void>
}

export interface SimDiskCopy {
  readonly rows: readonly (readonly [string, Uint8Array])[]
  readonly disk: MemoryDisk
}

export interface SimDiskParts {
  readonly index: boolean
  readonly blobs: boolean
}

export const EMPTY_COPY: SimDiskCopy = { rows: [], disk: createMemoryDisk() }

export async function createSimDisk(): Promise<SimDisk> {
  let backend = await openBackend([])
  const disk = createMemoryDisk()
  return {
    get backend() {
      return backend
    },
    disk,
    isFull: false,
    failedMs: 0,
    fullAfter: Number.POSITIVE_INFINITY,
    slowMs: 0,
    copy: async () => {
      const rows = await backend.iterator({}).all()
      const stages = [...disk.stages].map(([name, stage]) => [name, { ...stage }] as const)
      return {
        rows,
        disk: {
          blobs: new Map(disk.blobs),
          writtenAtMs: new Map(disk.writtenAtMs),
          stages: new Map(stages),
        },
      }
    },
    restore: async (copy, { index, blobs }) => {
      if (index) backend = await openBackend(copy.rows)
      if (!blobs) return
      replace(disk.blobs, copy.disk.blobs)
      replace(disk.writtenAtMs, copy.disk.writtenAtMs)
      replace(disk.stages, copy.disk.stages)
      for (const [name, stage] of disk.stages) disk.stages.set(name, { ...stage })
    },
  }
}

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }

async function openBackend(rows: SimDiskCopy['rows']): Promise<IndexBackend> {
  const backend = new MemoryLevel<string, Uint8Array>({
    keyEncoding: 'utf8',
    valueEncoding: 'view',
  })
  await backend.open()
  await backend.batch(rows.map(([key, value]) => ({ type: 'put', key, value })))
  return backend
}

function replace<K, V>(map: Map<K, V>, by: ReadonlyMap<K, V>): void {
  map.clear()
  for (const [key, value] of by) map.set(key, value)
}

/**
 * The index's database as one process sees it: writes take time, and fail while the disk is full. A batch that failed is
 * there after all or not, as with a database whose log was torn: the opening shows it.
 */
export function backendOver(
  sim: SimDisk,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): IndexBackend {
  const { backend } = sim
  let torn: Operation[] | undefined
  const batch = async (operations: Operation[]) => {
    const beganMs = clock.now()
    if (sim.slowMs > 0) await clock.sleep(sim.slowMs * random.fraction())
    sim.fullAfter -= 1
    if (sim.fullAfter < 0) sim.isFull = true
    if (!sim.isFull) return backend.batch(operations)
    torn = operations
    sim.failedMs = Math.max(sim.failedMs, beganMs)
    throw noSpace()
  }
  const open = async () => {
    await backend.open()
    const lost = torn
    torn = undefined
    if (lost !== undefined && random.fraction() < 0.5) await backend.batch(lost)
  }
  return new Proxy(backend, {
    get: (target, property) => {
      if (property === 'batch') return batch
      if (property === 'open') return open
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Blobs on the same disk: nothing is written while it is full. */
export function blobsOver(sim: SimDisk, store: BlobStore): BlobStore {
  const refuse = () => {
    if (sim.isFull) throw noSpace()
  }
  return {
    ...store,
    put: async (digest, bytes) => {
      refuse()
      await store.put(digest, bytes)
    },
    stage: async (name) => {
      const stage = await store.stage(name)
      return {
        name,
        get size() {
          return stage.size
        },
        append: async (source, options) => {
          refuse()
          return stage.append(source, options)
        },
        commit: (digest) => stage.commit(digest),
        discard: () => stage.discard(),
        close: () => stage.close(),
      }
    },
  }
}

export function noSpace(): Error {
  return Object.assign(new Error('no space left on the simulated disk'), { code: 'ENOSPC' })
}

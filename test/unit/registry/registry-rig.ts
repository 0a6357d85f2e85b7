/** A registry on loopback over the real storage room: index in memory, blobs on disk or in memory. */
import type { AnonymousRight } from '../../../src/access/access.ts'
import { createAccess } from '../../../src/access/create-access.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import type { Logger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { type Bounds, DEFAULT_BOUNDS } from '../../../src/node/bounds.ts'
import { listenHttp } from '../../../src/node/http-server.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { Elsewhere } from '../../../src/registry/elsewhere.ts'
import { createRegistryApp } from '../../../src/registry/registry-app.ts'
import type { OnRequest } from '../../../src/registry/request.ts'
import type { BlobStore } from '../../../src/storage/blob-store.ts'
import type { SparsePolicy } from '../../../src/storage/content-writer.ts'
import { openDiskBlobStore } from '../../../src/storage/disk-blob-store.ts'
import type { IndexBackend } from '../../../src/storage/index-db.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { createUploadSessions } from '../../../src/storage/upload-sessions.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import type { TestBlob, TestManifest } from '../../helpers/images.ts'
import { NOWHERE } from '../../helpers/nowhere.ts'
import { openMemoryBackend, openStorage } from '../../helpers/storage-rig.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

export const EDGE = 'edge' as NodeName

export interface RegistryOptions {
  readonly anonymous?: AnonymousRight
  /** Repositories that node `edge` may read. */
  readonly edgeReads?: readonly string[]
  /** Why the node may not write the repository. */
  readonly refusal?: (repository: RepositoryName) => string | undefined
  readonly unableToSign?: () => string | undefined
  readonly store?: 'disk' | 'memory'
  /** Faults put into the store. */
  readonly wrap?: (blobs: BlobStore) => BlobStore
  /** A second registry over both is a restart. */
  readonly directory?: string
  readonly backend?: IndexBackend
  readonly bounds?: Partial<Bounds>
  readonly sparse?: SparsePolicy
  readonly elsewhere?: Elsewhere
  readonly onRequest?: OnRequest
  /** Told of manifests that clients read. */
  readonly pulled?: (repository: RepositoryName, digest: Digest) => void
  /** Names of the mesh for `?ns=`. */
  readonly ownNames?: readonly string[]
  /** Whether the event loop is late. */
  readonly isLate?: () => boolean
}

export async function startRegistry(options: RegistryOptions = {}) {
  const { anonymous = 'push', edgeReads = [], refusal = () => undefined, store = 'disk' } = options
  await using building = new AsyncDisposableStack()
  const backend = options.backend ?? (await openMemoryBackend())
  const directory = options.directory ?? building.use(await makeTemporaryDirectory()).path
  const clock = createFakeClock()
  const bounds = { ...DEFAULT_BOUNDS, ...options.bounds }
  const plain =
    store === 'disk'
      ? await openDiskBlobStore({ directory })
      : createMemoryBlobStore({ clock, disk: createMemoryDisk() })
  const blobs = options.wrap?.(plain) ?? plain
  const storage = await openStorage({
    clock,
    backend,
    blobs,
    sparse: options.sparse ?? 'refuse',
  })
  const access = createAccess(
    {
      nodeMayRead: (node, repository) => node === EDGE && edgeReads.includes(repository),
      random: systemRandom,
    },
    { anonymous },
  )
  const uploads = createUploadSessions({ blobs, index: storage.index, clock }, bounds)
  const logged: { readonly level: string; readonly fields: object; readonly message: string }[] = []
  const log = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message })
  const logger: Logger = {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: () => logger,
  }
  const { content } = storage
  const app = createRegistryApp({
    damage: storage.damage,
    leases: storage.leases,
    content,
    blobs,
    uploads,
    access,
    refusal,
    unableToSign: options.unableToSign ?? (() => undefined),
    elsewhere: options.elsewhere ?? NOWHERE,
    onRequest: options.onRequest,
    pulled: options.pulled,
    endpoint: 'https://registry.example:5000',
    isOwnName: (name) => options.ownNames?.includes(name) === true,
    isLate: options.isLate ?? (() => false),
    maxManifestBytes: bounds.manifestBytes,
    logger,
  })
  const http = await listenHttp(
    { app, clock: systemClock, logger },
    { host: '127.0.0.1', port: 0, bounds },
  )
  building.defer(async () => {
    const drained = http.drain()
    http.close()
    await drained
  })
  const parts = building.move()
  const url = `http://127.0.0.1:${http.port}`

  async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${url}${path}`, { redirect: 'manual', ...init })
  }

  return {
    app,
    url,
    port: http.port,
    directory,
    backend,
    content,
    blobs,
    damage: storage.damage,
    access,
    logger,
    logged,
    ask,
    /** Pushes a blob in one request. */
    pushBlob: async (repository: string, { digest, bytes }: TestBlob): Promise<void> => {
      const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
      const answer = await ask(path, { method: 'POST', body: Uint8Array.from(bytes) })
      if (answer.status !== 201) throw new Error(`expected 201: ${await answer.text()}`)
    },
    putManifest: (repository: string, reference: string, { mediaType, bytes }: TestManifest) =>
      ask(`/v2/${repository}/manifests/${reference}`, {
        method: 'PUT',
        headers: { 'content-type': mediaType },
        body: Uint8Array.from(bytes),
      }),
    /** Opens a session. @returns its location, as the client sees it. */
    begin: async (repository: string): Promise<string> => {
      const answer = await ask(`/v2/${repository}/blobs/uploads/`, { method: 'POST' })
      return answer.headers.get('location') ?? ''
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

export type Registry = Awaited<ReturnType<typeof startRegistry>>

/** The one error of a body in the specification's form. */
export async function errorOf(answer: Response): Promise<{ code: string; message: string }> {
  const body = (await answer.json()) as { errors: { code: string; message: string }[] }
  const [error] = body.errors
  if (error === undefined || body.errors.length !== 1) throw new Error('expected one error')
  return error
}

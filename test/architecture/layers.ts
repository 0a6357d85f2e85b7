/** The house as data: which room stands on which layer, and which library may be used where. */

/** A room imports itself and rooms with a lower number. docs/ARCHITECTURE.md has the same table. */
export const LAYERS: Readonly<Record<string, number>> = {
  lib: 0,
  oci: 0,
  topology: 1,
  record: 1,
  forecast: 2,
  events: 2,
  storage: 3,
  peers: 3,
  access: 3,
  planner: 4,
  registry: 4,
  gossip: 4,
  queue: 5,
  transfer: 5,
  worker: 6,
  admin: 7,
  node: 8,
  simulator: 9,
  cli: 10,
}

export interface Fence {
  /** Names as in package.json. A name that ends in `/*` stands for every package of the scope. */
  readonly packages: readonly string[]
  /** Globs of the files that may import them. */
  readonly files: readonly string[]
}

/** A package without a row is refused: whoever brings one in says which room it belongs to. */
export const FENCES: readonly Fence[] = [
  { packages: ['hono', '@hono/node-server'], files: files('registry', 'admin', 'node') },
  { packages: ['libp2p', '@libp2p/*', '@multiformats/*'], files: files('gossip') },
  { packages: ['level', 'abstract-level'], files: ['src/storage/index-db.ts'] },
  {
    packages: ['cbor-x'],
    files: ['src/record/*codec*.ts', 'src/gossip/*codec*.ts', 'src/storage/index-*.ts'],
  },
  { packages: ['memory-level'], files: files('simulator') },
  {
    packages: ['lru-cache'],
    files: [
      'src/storage/small-content.ts',
      'src/storage/row-cache.ts',
      'src/record/record-codec.ts',
    ],
  },
  { packages: ['pino'], files: ['src/lib/logger.ts'] },
  { packages: ['prom-client'], files: ['src/admin/metrics.ts'] },
  {
    packages: ['zod'],
    files: files('topology', 'oci', 'record', 'gossip', 'admin', 'node', 'storage'),
  },
  { packages: ['undici'], files: files('transfer', 'cli') },
  { packages: ['yaml'], files: files('topology', 'cli') },
  { packages: ['picomatch', 'croner'], files: files('topology') },
  { packages: ['semver'], files: files('topology', 'forecast') },
  { packages: ['multiformats'], files: files('record') },
  { packages: ['tar-stream', 'commander'], files: files('cli') },
]

function files(...rooms: readonly string[]): readonly string[] {
  return rooms.map((room) => `src/${room}/*.ts`)
}

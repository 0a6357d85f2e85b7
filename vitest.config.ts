import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Milliseconds: ends what hangs, and is no bound on speed. */
const UNIT_TIMEOUT = 30_000
/** Milliseconds. Real nodes start, dial and catch up; on two busy cores that takes tens of seconds. */
const MESH_TIMEOUT = 120_000
/** Milliseconds. Nodes are cut off, killed and started again, many times in the full run. */
const FAULTS_TIMEOUT = 600_000
/** Milliseconds. Real clients pull and push whole images, and a container daemon starts first. */
const CLIENTS_TIMEOUT = 180_000

/** Real libp2p, real time and large bodies: seconds each, so they run with the mesh and not in the quick check. */
const SLOW_UNITS = [
  'test/unit/gossip/libp2p-network.test.ts',
  'test/unit/gossip/hostile-peers.test.ts',
  'test/contract/libp2p-network.test.ts',
  'test/unit/node/http-bounds.test.ts',
  'test/unit/node/tls-server.test.ts',
  'test/unit/registry/blob-routes.test.ts',
  'test/unit/registry/memory.test.ts',
]

/** Minutes each: begun last, they would be all that runs at the end. */
const LONG = ['test/mesh/kill.test.ts', 'test/mesh/file-tests.test.ts', 'test/mesh/demand.test.ts']

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const long = LONG.flatMap((path) => sorted.filter(({ moduleId }) => moduleId.endsWith(path)))
    return [...long, ...sorted.filter((file) => !long.includes(file))]
  }
}

/** A folder. Every run leaves a JSON report there, which .ci/run adds up. */
const reports = process.env.TEST_REPORTS

export default defineConfig({
  test: {
    pool: 'forks',
    reporters: reports === undefined ? ['default'] : ['default', 'json'],
    outputFile: { json: `${reports}/${process.pid}.json` },
    sequence: { sequencer: LongFirst },
    // Groups run one after the other, so that what measures time is not beside what burns it.
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/unit/**/*.test.ts',
            'test/architecture/**/*.test.ts',
            'test/contract/**/*.test.ts',
          ],
          exclude: SLOW_UNITS,
          // No test changes a module: one load of the code for all of a worker's files.
          isolate: false,
          // They take milliseconds; on a machine that does much beside them the usual five seconds are few.
          testTimeout: UNIT_TIMEOUT,
          // All cores (by itself vitest leaves one free: of two, half): what runs beside it in the check is over long before.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: MESH_TIMEOUT,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'mesh',
          include: ['test/mesh/**/*.test.ts', ...SLOW_UNITS],
          testTimeout: MESH_TIMEOUT,
          hookTimeout: MESH_TIMEOUT,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          testTimeout: FAULTS_TIMEOUT,
          hookTimeout: FAULTS_TIMEOUT,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'clients',
          include: ['test/clients/**/*.test.ts'],
          testTimeout: CLIENTS_TIMEOUT,
          hookTimeout: CLIENTS_TIMEOUT,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})

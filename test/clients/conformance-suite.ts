/** The conformance suite of the OCI distribution specification, with everything on, against a fresh node. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../src/lib/errors.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { find, run } from './programs.ts'

const SUITE =
  'github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111'

/** One node that takes everything, of a mesh that sends nothing on. */
const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: conformance, generation: 1 }
nodes: { alone: {} }
origins: [{ repos: ["**"], writers: alone }]
policies: {}
links: []
`

/** `dev` turns on what the main branch of the specification adds to 1.1; the others are off by default. */
const EVERYTHING_ON = {
  OCI_VERSION: 'dev',
  OCI_TLS: 'disabled',
  OCI_DATA_SPARSE: 'true',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
}

export interface ConformanceCounts {
  /** Test cases. */
  readonly tests: number
  readonly failures: number
  readonly errors: number
  readonly skipped: number
  /** APIs and data sets that are off. */
  readonly disabled: number
  /** What did not pass, a line each. */
  readonly faults: readonly string[]
}

/**
 * Builds the suite where it was unpacked: `go install` of a version asks the network even for a module that is here.
 * @returns its program; the reason where that is not possible here
 */
export async function installSuite(
  directory: string,
): Promise<{ readonly program: string } | { readonly reason: string }> {
  if (find('go') === undefined) return { reason: 'go is not installed' }
  const program = join(directory, 'conformance')
  try {
    const { stdout } = await run('go', ['mod', 'download', '-json', SUITE])
    const { Dir: cwd } = JSON.parse(stdout) as { readonly Dir: string }
    await run('go', ['build', '-o', program, '.'], { cwd })
  } catch (err) {
    return { reason: `the suite cannot be built: ${messageOf(err)}` }
  }
  return { program }
}

/** Runs the suite against a node that it starts. @throws when the suite gave no result */
export async function runSuite(program: string): Promise<ConformanceCounts> {
  const flags = ['--anonymous', 'push', '--sparse', 'accept', '--log-level', 'warn']
  await using mesh = await startMesh({ text: TOPOLOGY }, { flags })
  const results = await mkdtemp(join(tmpdir(), 'entrepot-conformance-'))
  try {
    const env = {
      ...EVERYTHING_ON,
      OCI_REGISTRY: new URL(mesh.node('alone').url).host,
      OCI_RESULTS_DIR: results,
    }
    // It ends with 1 where anything failed, and with 0 where it could not start: only its report says what happened.
    const ended = await run(program, [], { env, cwd: results }).catch((err: Error) => err)
    const report = await readFile(join(results, 'results.yaml'), 'utf8').catch((cause: unknown) => {
      const said = ended instanceof Error ? ended.message : ended.stderr
      throw new Error(`the conformance suite wrote no result: ${said}`, { cause })
    })
    return countsOf(report, await readFile(join(results, 'junit.xml'), 'utf8'))
  } finally {
    await rm(results, { recursive: true, force: true })
  }
}

/** Statuses of the report: those of APIs and data sets, and those of test cases in JUnit's form. */
function countsOf(report: string, junit: string): ConformanceCounts {
  const count = (pattern: RegExp, text: string) => (text.match(pattern) ?? []).length
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]* status="(\w+)"/g)]
  const statusOf = (wanted: string) => cases.filter(([, , status]) => status === wanted).length
  return {
    tests: cases.length,
    failures: statusOf('failure') + count(/: FAIL$/gm, report),
    errors: statusOf('error') + count(/: Error$/gm, report),
    skipped: statusOf('skipped') + count(/: Skip$/gm, report),
    disabled: statusOf('disabled') + count(/: Disabled$/gm, report),
    faults: [
      ...cases
        .filter(([, , status]) => status !== 'passed')
        .map(([, name, status]) => `${status}: ${name}`),
      ...(report.match(/^.*: (?:FAIL|Error|Skip|Disabled)$/gm) ?? []),
    ],
  }
}

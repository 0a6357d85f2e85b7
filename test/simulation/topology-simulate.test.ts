import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { ScaleReport } from '../../src/simulator/scale-report.ts'
import { entrepot } from '../helpers/command.ts'

const FILE = fileURLToPath(new URL('../../topologies/hierarchical.yaml', import.meta.url))
const simulate = (...words: readonly string[]) => entrepot('topology', 'simulate', ...words)

describe('cli / topology simulate', () => {
  test('it prints the model, each level and all traffic; --json has the links', () => {
    const words = [FILE, '--nodes', '12', '--image-mib', '1', '--quiet', '1']
    const { status, stdout } = simulate(...words)
    expect(status).toBe(0)
    expect(stdout).toContain('12 nodes, 7 of the file, and 5 copies of eu-1, eu-2, us-1, us-2')
    expect(stdout).toContain('Every link has 1000 Mbit/s each way, shared evenly by its transfers')
    expect(stdout).toMatch(/level 2: first \d+ ms, last \d+ ms \(9 nodes\)/)
    expect(stdout).toContain('Quiet: 60.0 s without a push')
    const { report } = JSON.parse(simulate(...words, '--json').stdout) as { report: ScaleReport }
    expect(report.links).toBe(11)
    expect(report.pushes[0]?.links).toHaveLength(11)
  })

  test('a bad file is answered with its findings, as topology check has them', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'simulate-'))
    const file = join(directory, 'bad.yaml')
    try {
      await writeFile(file, 'apiVersion: entrepot/v1\nkind: Topology\nnodez: {}\n')
      const check = entrepot('topology', 'check', file)
      const { status, stderr } = simulate(file)
      expect(status).toBe(1)
      for (const line of check.stdout.trim().split('\n')) expect(stderr).toContain(line)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test('numbers that make no sense are a matter of usage', () => {
    const few = simulate(FILE, '--nodes', '6')
    expect([few.status, few.stderr]).toEqual([
      2,
      'entrepot: --nodes must be at least 7, as many as the file has; got 6\n',
    ])
    const rate = simulate(FILE, '--rate', 'fast')
    expect(rate.status).toBe(2)
    expect(rate.stderr).toContain('--rate must be a number from 0.001 to 1000000; got fast')
  })
})

import { expect, test } from 'vitest'
import type { NodeName } from '../../src/topology/topology.ts'
import { lastCallOf, runCrashPoint } from './crash-points.ts'

/** Every so many calls in a short run, and each of them where the environment says so: there are some 900. */
const STRIDE = process.env.SIMULATION_CRASH_POINTS === 'all' ? 1 : 13
/** Both ends of one link. */
const NODES = ['hub', 'edge'] as NodeName[]

test.each(NODES)(
  '%s may die at any call of a port, before or after it took effect',
  async (node) => {
    const calls = await lastCallOf(node)
    expect(calls).toBeGreaterThan(50)
    const failures: string[] = []
    for (let call = 1; call <= calls; call += STRIDE) {
      for (const isEffective of [false, true]) {
        const error = await runCrashPoint({ node, call, isEffective })
        const when = `${isEffective ? 'after' : 'before'} call ${call} of ${calls}`
        if (error !== undefined) failures.push(`${when}: ${error}`)
      }
    }
    expect(failures).toEqual([])
  },
)

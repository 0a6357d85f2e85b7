import { identityFromSeed } from '../../src/record/identity.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../src/simulator/sim-network.ts'
import { networkContract } from './network.contract.ts'
import type { NetworkRig } from './network-steps.ts'

/** Simulated milliseconds. */
const DEADLINE_MS = 30_000

async function createRig(): Promise<NetworkRig> {
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom('contract')
  // Losing messages is a fault that simulations inject; copies and overtaking any network may do.
  const faults = { dropRate: 0, duplicateRate: 0.3, maxDelayMs: 20 }
  const hub = createSimHub({ clock, random }, faults)
  const parts = new AsyncDisposableStack()
  const peerOf = (name: string) => identityFromSeed(Buffer.alloc(32, name)).peerId
  return {
    peerOf,
    node: async (name, neighbours) => parts.use(hub.network(peerOf(name), neighbours.map(peerOf))),
    until: async (condition) => {
      const deadline = clock.now() + DEADLINE_MS
      for (;;) {
        await settle()
        if (condition()) return
        // Time passes also when nobody waits for it.
        if (!clock.step(clock.now() + 100)) await tick(deadline)
        if (clock.now() > deadline) throw new Error('the condition never held')
      }
    },
    now: () => clock.now(),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }

  async function tick(deadline: number): Promise<void> {
    const slept = clock.sleep(100)
    clock.step(deadline + 1_000)
    await slept
  }
}

networkContract('simulated', createRig)

/** A node that passes no pushes on. */
import type { Elsewhere } from '../../src/registry/elsewhere.ts'

export const NOWHERE: Elsewhere = {
  wayOf: () => undefined,
  judges: () => [],
  namesOf: () => '',
  writers: { living: () => [], latest: () => undefined, took: () => {}, failed: () => {} },
  pushes: { note: () => {}, digestOf: () => undefined },
  isAnswering: async () => false,
  forward: async () => ({ kind: 'busy' }),
}

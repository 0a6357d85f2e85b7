import type { Naming } from '../../src/topology/flow.ts'

/** A tag is wanted by its own name. */
export const NO_NAMES: Naming = { tagsNaming: async function* () {} }

/** The schema of topology files as JSON Schema, for editors: they complete, explain on hover, and check while one writes. */
import { z } from 'zod'
import { WRITTEN_SCHEMA } from './schema.ts'

/** Plain data, as `topologies/schema.json` has it. Draft 7 is what editors know best. */
export function topologyJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...rest } = z.toJSONSchema(WRITTEN_SCHEMA, { io: 'input', target: 'draft-7' })
  return {
    $schema,
    title: 'entrepot topology',
    description:
      'Who is in the mesh, who may write what, and what flows where. Explained in docs/TOPOLOGY.md.',
    ...rest,
  }
}

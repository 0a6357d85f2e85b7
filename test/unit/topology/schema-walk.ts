/** Every key of the topology file, read off its JSON Schema. */
import { topologyJsonSchema } from '../../../src/topology/json-schema.ts'

interface Part {
  readonly properties?: Readonly<Record<string, Part>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Part | boolean
  readonly items?: Part
  readonly anyOf?: readonly Part[]
  readonly oneOf?: readonly Part[]
  readonly description?: string
  readonly default?: unknown
}

export interface SchemaKey {
  /** e.g. `policies.*.match.tags.semver`, `links[].bandwidth[].down`. */
  readonly path: string
  readonly section: string
  readonly key: string
  readonly description: string | undefined
  readonly isRequired: boolean
  readonly fallback: unknown
}

/** A key that several shapes or kinds have stands there once for each. */
export function schemaKeys(): readonly SchemaKey[] {
  return walk(topologyJsonSchema(), '')
}

function walk(part: Part, path: string): readonly SchemaKey[] {
  const {
    properties = {},
    required = [],
    additionalProperties,
    items,
    anyOf = [],
    oneOf = [],
  } = part
  const own = Object.entries(properties).flatMap(([key, inner]) => {
    const here = path === '' ? key : `${path}.${key}`
    const known: SchemaKey = {
      path: here,
      section: here.split(/[.[]/)[0] ?? '',
      key,
      description: inner.description,
      isRequired: required.includes(key),
      fallback: inner.default,
    }
    return [known, ...walk(inner, here)]
  })
  return [
    ...own,
    ...(typeof additionalProperties === 'object' ? walk(additionalProperties, `${path}.*`) : []),
    ...(items === undefined ? [] : walk(items, `${path}[]`)),
    ...[...anyOf, ...oneOf].flatMap((one) => walk(one, path)),
  ]
}

/** Which keys the schema knows at a place of a file: read off the published schema, so that there is no second list. */
import { topologyJsonSchema } from './json-schema.ts'
import { at } from './readable.ts'

/** The part of JSON Schema that the published one is made of. */
interface Part {
  readonly properties?: Readonly<Record<string, Part>>
  readonly additionalProperties?: Part | boolean
  readonly required?: readonly string[]
  readonly items?: Part
  readonly anyOf?: readonly Part[]
  readonly oneOf?: readonly Part[]
  readonly const?: unknown
  readonly default?: unknown
}

export interface KnownKeys {
  /** Of the map at the path, as it is meant: a star's, where `shape` says star. */
  readonly here: readonly string[]
  /** Of every map of the section that the path leads into. */
  readonly section: readonly string[]
}

/** Made when the first key is misspelt: a good file never needs it. */
let whole: Part | undefined

export function knownKeys(value: unknown, path: readonly PropertyKey[]): KnownKeys {
  whole ??= topologyJsonSchema()
  let parts: readonly Part[] = [whole]
  for (const [depth, step] of path.entries()) {
    parts = parts.flatMap((part) => inside(part, step, at(value, path.slice(0, depth))))
  }
  const section = path[0] === undefined ? whole : (whole.properties?.[String(path[0])] ?? {})
  return {
    here: unique(
      meant(parts, at(value, path)).flatMap(({ properties = {} }) => Object.keys(properties)),
    ),
    section: unique(keysWithin(section)),
  }
}

/** What a step leads to: a key of a map, or a number of a list. */
function inside(part: Part, step: PropertyKey, value: unknown): readonly Part[] {
  return meant([part], value).flatMap(({ properties, additionalProperties, items }) => {
    if (typeof step === 'number') return items ?? []
    const named = properties?.[String(step)]
    if (named !== undefined) return named
    return typeof additionalProperties === 'object' ? additionalProperties : []
  })
}

/** Of alternatives those whose constants the value has, and of these the ones that most of its keys speak for. */
function meant(parts: readonly Part[], value: unknown): readonly Part[] {
  return parts.flatMap((part) => {
    const options = part.anyOf ?? part.oneOf
    if (options === undefined) return part
    const fitting = options.filter(({ properties = {} }) =>
      Object.entries(properties).every(
        ([key, { const: constant, default: otherwise }]) =>
          constant === undefined || (at(value, [key]) ?? otherwise) === constant,
      ),
    )
    const some = fitting.length === 0 ? options : fitting
    const votes = some.map(
      ({ required = [] }) => required.filter((key) => at(value, [key]) !== undefined).length,
    )
    const most = Math.max(...votes)
    return meant(
      some.filter((_, number) => votes[number] === most),
      value,
    )
  })
}

function keysWithin(part: Part): readonly string[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [] } = part
  const nested = [
    ...Object.values(properties),
    ...(typeof additionalProperties === 'object' ? [additionalProperties] : []),
    ...(items === undefined ? [] : [items]),
    ...anyOf,
    ...oneOf,
  ]
  return [...Object.keys(properties), ...nested.flatMap(keysWithin)]
}

function unique(keys: readonly string[]): readonly string[] {
  return [...new Set(keys)]
}

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { topologyJsonSchema } from '../../../src/topology/json-schema.ts'
import { WRITTEN_SCHEMA } from '../../../src/topology/schema.ts'
import { knownKeys } from '../../../src/topology/schema-keys.ts'
import { SHIPPED, shippedText } from '../../helpers/topology-texts.ts'
import { schemaKeys } from './schema-walk.ts'

const FILE = new URL('../../../topologies/schema.json', import.meta.url)

/** Another reader of JSON Schema: what an editor would say. */
function editorSays(value: unknown): readonly string[] {
  const schema = z.fromJSONSchema(topologyJsonSchema())
  const { error } = schema.safeParse(value)
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const good = () => parse(shippedText('three-level')) as Record<string, unknown>

describe('topology / JSON Schema', () => {
  test('topologies/schema.json is what `entrepot topology schema` prints', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(`${JSON.stringify(topologyJsonSchema(), null, 2)}\n`)
  })

  test.each(SHIPPED)('an editor finds nothing wrong with %s.yaml', (name) => {
    expect(editorSays(parse(shippedText(name)))).toEqual([])
    expect(WRITTEN_SCHEMA.safeParse(parse(shippedText(name))).error).toBeUndefined()
  })

  test('an editor finds a misspelt key, a wrong word and a missing key', () => {
    expect(editorSays({ ...good(), orgins: [] }).join()).toContain('orgins')
    expect(editorSays({ ...good(), kind: 'Topolgy' }).join()).toContain('kind')
    const { nodes: _, ...rest } = good()
    expect(editorSays(rest).join()).toContain('nodes')
    expect(
      editorSays({ ...good(), links: [{ shape: 'star', center: 'hq', policies: ['pos'] }] }),
    ).not.toEqual([])
  })

  test('what may be left out may be left out in an editor', () => {
    const links = [{ from: 'hq', to: 'eu-1', policies: ['pos'] }]
    const policies = { pos: { match: { repos: ['**'] }, mode: 'eager' }, other: { extends: 'pos' } }
    expect(editorSays({ ...good(), nodes: { hq: null, 'eu-1': {} }, links, policies })).toEqual([])
    expect(editorSays({ ...good(), policies: { pos: { mode: 'eager' } } })).not.toEqual([])
  })

  test('every key has a text that an editor shows, and says its default where it may be left out', () => {
    const keys = schemaKeys()
    expect(keys.length).toBeGreaterThan(90)
    expect(keys.filter(({ description }) => description === undefined)).toEqual([])
    const silent = keys.filter(
      ({ description = '', isRequired }) =>
        !isRequired && !/Default: [^.]*|Default:|Without/.test(description),
    )
    expect(silent.map(({ path }) => path)).toEqual([])
  })

  test('a default that the schema sets is the one that its text names', () => {
    const wrong = schemaKeys().filter(({ description = '', fallback }) => {
      if (fallback === undefined || typeof fallback === 'object') return false
      return (
        !description.includes(`Default: ${JSON.stringify(fallback).replaceAll('"', '')}`) &&
        !description.startsWith('Without')
      )
    })
    expect(wrong).toEqual([])
  })

  test('the keys of a place are those of the shape that stands there', () => {
    const value = {
      links: [{ shape: 'ring' }, { from: 'a' }, {}],
      policies: { x: { extends: 'y' } },
    }
    expect(knownKeys(value, ['links', 0]).here).toEqual([
      'shape',
      'members',
      'direction',
      'policies',
      'fetch',
      'bandwidth',
    ])
    expect(knownKeys(value, ['links', 1]).here).toEqual([
      'shape',
      'from',
      'to',
      'policies',
      'fetch',
      'bandwidth',
    ])
    expect(knownKeys(value, ['policies', 'x', 'match', 'tags']).here).toEqual([
      'semver',
      'include',
      'exclude',
    ])
    expect(knownKeys(value, []).here).toContain('origins')
    expect(knownKeys(value, ['links', 0]).section).toContain('leaves')
  })
})

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { entrepot } from '../helpers/command.ts'

const SCHEMA = fileURLToPath(new URL('../../topologies/schema.json', import.meta.url))

describe('mesh / entrepot topology schema', () => {
  test('it prints what topologies/schema.json has', () => {
    const { status, stdout, stderr } = entrepot('topology', 'schema')
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toBe(readFileSync(SCHEMA, 'utf8'))
  })
})

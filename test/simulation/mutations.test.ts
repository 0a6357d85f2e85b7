import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTATIONS } from './mutations.ts'
import { runSeeds } from './seed-threads.ts'

const THREADS = 2
/** Seeds that are tried for each: several times as many as the shyest of them took. */
const SEEDS = 500
/** Bugs that make a node go round in a circle are found out too, milliseconds. */
const LIMIT_MS = 20_000

test.each(MUTATIONS)('it is found out when $what', async (mutation) => {
  const source = readFileSync(new URL(`../../${mutation.file}`, import.meta.url), 'utf8')
  expect(source.split(mutation.from)).toHaveLength(2)
  const errors: string[] = []
  const range = { first: 1, count: SEEDS, threads: THREADS, mutation, limitMs: LIMIT_MS }
  await runSeeds(range, ({ error }) => {
    if (error !== undefined) errors.push(error)
    return error === undefined
  })
  expect(errors).not.toEqual([])
})

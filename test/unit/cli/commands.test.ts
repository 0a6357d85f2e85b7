import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { run } from './run-command.ts'

test('all records of a repository are told, however many pages they take', async () => {
  const row = (reference: string) => ({
    repository: 'app',
    reference,
    known: [],
    deletedAtOrigin: false,
    plan: 'here',
  })
  const path = 'GET /api/v1/records?n=1000&repository=app'
  const answers = {
    [path]: { records: [row('v1')], next: 'v1' },
    [`${path}&last=v1`]: { records: [row('v2')] },
  }
  const { code, out } = await run(answers, 'records', 'app')
  expect(code).toBe(0)
  expect(out).toContain('app v1')
  expect(out).toContain('app v2')
  expect(JSON.parse((await run(answers, 'records', 'app', '--json')).out)).toHaveLength(2)
})

test.each(['verify', 'gc', 'adopt'])(
  '%s of a directory that is not there says so, and what to give',
  async (command) => {
    await using temporary = await makeTemporaryDirectory()
    const path = join(temporary.path, 'nothing')
    const { code, err } = await run({}, command, '--data', path)
    expect(code).toBe(2)
    expect(err).toBe(
      `entrepot: no data directory at ${path}: there is nothing. Give the directory of a node, or one that another registry filled, with --data\n`,
    )
  },
)

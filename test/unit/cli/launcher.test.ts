import { spawnSync } from 'node:child_process'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

const LAUNCHER = fileURLToPath(new URL('../../../bin/entrepot', import.meta.url))

test('the launcher runs the program from anywhere, by a link, whatever Node.js is on the path', async () => {
  await using directory = await makeTemporaryDirectory()
  const link = join(directory.path, 'entrepot')
  await symlink(LAUNCHER, link)
  const { stdout, stderr, status } = spawnSync(link, ['--version'], {
    cwd: directory.path,
    env: { PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
  })
  expect({ stdout, stderr, status }).toEqual({
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: '',
    status: 0,
  })
})

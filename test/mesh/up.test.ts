/** `entrepot up`: every node of a file on this machine, each of which can be told by its process that the file has changed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeTemporaryDirectory } from '../helpers/temporary-directory.ts'
import { PAIR } from '../helpers/topology-texts.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

test('it names the process of each node; SIGHUP there takes the changed file, and all end with it', async () => {
  await using directory = await makeTemporaryDirectory()
  const file = join(directory.path, 'pair.yaml')
  const data = join(directory.path, 'data')
  await writeFile(file, PAIR)
  const up = spawn(process.execPath, [MAIN, 'up', file, '--data', data], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(up, 'exit')
  try {
    let said = ''
    up.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await eventually(() => said.includes('The mesh is up'))
    const rowOf = (name: string) => {
      const [, url = '', pid = ''] = new RegExp(`^${name} +(\\S+) +(\\d+)`, 'm').exec(said) ?? []
      return { url, pid: Number(pid) }
    }
    const [hub, edge] = [rowOf('hub'), rowOf('edge')]
    const filled = /apply`: (\S+)/.exec(said)?.[1] ?? ''
    const text = await readFile(filled, 'utf8')
    await writeFile(filled, text.replace('generation: 1', 'generation: 2'))
    process.kill(edge.pid, 'SIGHUP')
    await eventually(async () => (await statusOf(edge)).generation === 2)
    expect((await statusOf(hub)).generation).toBe(1)

    up.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    for (const { pid } of [hub, edge]) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  } finally {
    up.kill('SIGTERM')
    await ended
  }
})

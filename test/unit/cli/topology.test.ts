import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadTopology } from '../../../src/cli/topology.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { textOf } from '../../helpers/topology-texts.ts'

test('a file in another encoding is refused instead of read with other names', async () => {
  await using directory = await makeTemporaryDirectory()
  const file = join(directory.path, 'mesh.yaml')
  const text = textOf({ metadata: '{ name: läden, generation: 1 }' })
  await writeFile(file, text, 'latin1')
  await expect(loadTopology(file)).rejects.toMatchObject({ code: 'TOPOLOGY_UNREADABLE' })
  await writeFile(file, `\uFEFF${text}`)
  expect((await loadTopology(file)).topology.realm).toBe('läden')
})

test('what cannot be read is told with its name', async () => {
  await using directory = await makeTemporaryDirectory()
  await expect(loadTopology(directory.path)).rejects.toThrow(
    `cannot read ${directory.path}: EISDIR`,
  )
})

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDiskLinkFiles } from '../../../src/storage/disk-link-files.ts'
import type { LinkChange } from '../../../src/storage/index-tables.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { digestNamed } from '../../helpers/writers.ts'

const write = (path: string, name: string): LinkChange => ({
  kind: 'write',
  path,
  digest: digestNamed(name),
})
const remove = (path: string): LinkChange => ({ kind: 'remove', path })

async function setUp() {
  const directory = await makeTemporaryDirectory()
  const read = (path: string) => readFile(join(directory.path, path), 'utf8')
  return { directory, read, files: createDiskLinkFiles({ directory: directory.path }) }
}

describe('link files on disk', () => {
  it('a batch ends as if its changes had been carried out one after the other', async () => {
    const { directory, read, files } = await setUp()
    await using _directory = directory
    await files.apply([
      write('tags/a/current/link', 'one'),
      write('tags/b/current/link', 'one'),
      write('tags/a/current/link', 'two'),
      remove('tags/b'),
      write('tags/c/link', 'three'),
      remove('tags/c'),
      write('tags/c/link', 'four'),
    ])
    expect(await read('tags/a/current/link')).toBe(digestNamed('two'))
    expect(await read('tags/c/link')).toBe(digestNamed('four'))
    expect((await readdir(join(directory.path, 'tags'))).sort()).toEqual(['a', 'c'])
    expect(await readdir(join(directory.path, 'tags/a/current'))).toEqual(['link'])
  })

  it('many changes in one directory all come', async () => {
    const { directory, read, files } = await setUp()
    await using _directory = directory
    const names = Array.from({ length: 40 }, (_, at) => `${at}`)
    await files.apply(names.map((name) => write(`layers/${name}/link`, name)))
    for (const name of names) expect(await read(`layers/${name}/link`)).toBe(digestNamed(name))
  })

  it('carrying out once more changes nothing, also a removal of what is gone with its directory', async () => {
    const { directory, read, files } = await setUp()
    await using _directory = directory
    const changes = [write('a/b/link', 'one'), remove('a/b'), remove('a'), write('c/link', 'two')]
    await files.apply(changes)
    await files.apply(changes)
    await files.makeDurable(changes)
    expect(await readdir(directory.path)).toEqual(['c'])
    expect(await read('c/link')).toBe(digestNamed('two'))
  })

  it('a failure is thrown when the others are over, and what failed can be tried again', async () => {
    const { directory, read, files } = await setUp()
    await using _directory = directory
    await writeFile(join(directory.path, 'file'), 'no directory')
    const changes = [write('file/link', 'one'), write('other/link', 'two')]
    await expect(files.apply(changes)).rejects.toThrow('mkdir')
    expect(await read('other/link')).toBe(digestNamed('two'))
    await files.apply([remove('file'), ...changes])
    expect(await read('file/link')).toBe(digestNamed('one'))
  })
})

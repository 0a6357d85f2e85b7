import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  identityPath,
  loadIdentity,
  loadOrCreateIdentity,
} from '../../../src/node/identity-file.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'identity-'))
})
afterEach(() => rm(directory, { recursive: true }))

describe('node / identity file', () => {
  test('an identity is made once, and then stays', async () => {
    const path = identityPath(directory)
    const first = await loadOrCreateIdentity(path)
    const bytes = await readFile(path)
    const second = await loadOrCreateIdentity(path)
    expect(second.peerId).toBe(first.peerId)
    expect((await loadIdentity(path)).peerId).toBe(first.peerId)
    expect(await readFile(path)).toEqual(bytes)
  })

  test('only its owner may read the key', async () => {
    const path = identityPath(directory)
    await loadOrCreateIdentity(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await chmod(path, 0o640)
    await expect(loadIdentity(path)).rejects.toMatchObject({ code: 'IDENTITY_EXPOSED' })
  })

  test('a missing key is told with the command that makes one', async () => {
    const loading = loadIdentity(identityPath(directory))
    await expect(loading).rejects.toMatchObject({ code: 'IDENTITY_MISSING' })
    await expect(loading).rejects.toThrow('entrepot identity new')
  })

  test('a file that is no key is refused and not replaced', async () => {
    const path = join(directory, 'key')
    await writeFile(path, 'not a key', { mode: 0o600 })
    await expect(loadOrCreateIdentity(path)).rejects.toMatchObject({ code: 'IDENTITY_INVALID' })
    expect(await readFile(path, 'utf8')).toBe('not a key')
  })
})

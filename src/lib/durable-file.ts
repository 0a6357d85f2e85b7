/** Files that survive a power cut: written beside, made durable, renamed, and the rename made durable too. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Replaces the file as a whole: readers see the old or the new bytes, never half of them. */
export async function writeDurably(
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o666 }: { readonly mode?: number } = {},
): Promise<void> {
  await makeDirectoryDurably(dirname(path))
  await replaceFile(path, bytes, { mode })
  await syncPath(dirname(path))
}

/** As `writeDurably`, in a directory that is there; nothing is durable but, unless told otherwise, the bytes under their new name. */
export async function replaceFile(
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o666, isDurable = true }: { readonly mode?: number; readonly isDurable?: boolean } = {},
): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(beside, 'wx', mode)
    try {
      await file.writeFile(bytes)
      if (isDurable) await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (err) {
    await rm(beside, { force: true })
    throw err
  }
}

/** Makes what was created, renamed or removed in a directory durable, or the bytes of a file. */
export async function syncPath(path: string): Promise<void> {
  const opened = await open(path, 'r')
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
}

/** Makes the directory and its parents; each new one is made durable in its parent. */
export async function makeDirectoryDurably(path: string): Promise<void> {
  for (const parent of await makeDirectory(path)) await syncPath(parent)
}

/** Makes the directory and its parents. @returns the directories that have a new name in them, the lowest first. */
async function makeDirectory(path: string): Promise<readonly string[]> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return []
  // `first` is the topmost one that was made: from there down every parent has a new entry.
  const top = dirname(first)
  const parents = [dirname(path)]
  for (let at = dirname(path); at !== top && at !== dirname(at); at = dirname(at)) {
    parents.push(dirname(at))
  }
  return parents
}

/** Bytes of one write of what only takes space. */
const FILL_PIECE = 1024 * 1024

/** Writes so many bytes that mean nothing and do not compress: some file systems would store zeros in no space at all. */
export async function fillFile(
  file: Pick<FileHandle, 'writeFile'>,
  bytes: number,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const piece = randomBytes(Math.min(bytes, FILL_PIECE))
  for (let left = bytes; left > 0; left -= piece.length) {
    signal?.throwIfAborted()
    await file.writeFile(piece.subarray(0, left))
  }
}

/** Resolves when `bytes` could be written to a new file at `path` and made durable; the file goes again. @throws the disk's error */
export async function probeDisk(path: string, bytes: number): Promise<void> {
  try {
    const file = await open(path, 'w')
    try {
      await fillFile(file, bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } finally {
    await rm(path, { force: true })
  }
}

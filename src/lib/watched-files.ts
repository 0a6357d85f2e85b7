/** Looks at small files again and again, and says when their bytes are others. */
import { readFile } from 'node:fs/promises'
import type { Clock } from './clock.ts'
import { messageOf } from './errors.ts'

/** What a file held, or why it could not be read. */
export type FileContent =
  | { readonly path: string; readonly bytes: Buffer }
  | { readonly path: string; readonly bytes?: undefined; readonly error: string }

export interface WatchDeps {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Between two looks, milliseconds. Looking works where notifications do not: network file systems, a directory that is
 * swapped by a symbolic link, a file that is renamed into place. Bytes are compared, since a copy may keep the times.
 */
const LOOK_EVERY_MS = 1_000

export function readFiles(paths: readonly string[]): Promise<readonly FileContent[]> {
  return Promise.all(
    paths.map((path) =>
      readFile(path).then(
        (bytes) => ({ path, bytes }),
        (err: unknown) => ({ path, error: messageOf(err) }),
      ),
    ),
  )
}

/** Calls `changed` with all files whenever one of them is not as it was last. Resolves when the signal is aborted. */
export async function watchFiles(
  seen: readonly FileContent[],
  { clock, signal }: WatchDeps,
  changed: (files: readonly FileContent[]) => void,
): Promise<void> {
  const paths = seen.map(({ path }) => path)
  for (let last = seen; ; ) {
    await clock.sleep(LOOK_EVERY_MS, { signal }).catch(() => {})
    if (signal.aborted) return
    const now = await readFiles(paths)
    if (signal.aborted) return
    if (now.every((file, at) => isSame(file, last[at]))) continue
    last = now
    changed(now)
  }
}

function isSame(a: FileContent, b: FileContent | undefined): boolean {
  if (b?.bytes === undefined || a.bytes === undefined) return a.bytes === b?.bytes
  return a.bytes.equals(b.bytes)
}

/** A small file system for one test, made of memory, that can be filled and made read-only. Needs root on Linux. */
import { execFileSync } from 'node:child_process'
import { cp, mkdtemp, open, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk extends AsyncDisposable {
  readonly path: string
  /** Takes all space but so many bytes, until `empty`. */
  fill(leaveBytes?: number): Promise<void>
  empty(): Promise<void>
  /** For what is opened from now on; files that are open stay writable, as the kernel has it. */
  makeReadOnly(): void
  makeWritable(): void
}

const MIB = 1024 * 1024

/** Whether this machine lets us mount; where not, tests say that they were skipped. */
export const canMount = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  try {
    // In a mount namespace of its own: nothing to undo.
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

/** Mounts a disk of so many MiB over the directory, and copies into it what stood there. Nobody may have it open. */
export async function mountSmallDisk(path: string, sizeMib: number): Promise<SmallDisk> {
  const aside = await mkdtemp(join(tmpdir(), 'entrepot-aside-'))
  await cp(path, aside, { recursive: true })
  mount('-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'none', path)
  await cp(aside, path, { recursive: true })
  await rm(aside, { recursive: true })
  const ballast = join(path, 'ballast')
  let isReadOnly = false

  function unmount(): void {
    // Lazily: a process may have files open below.
    execFileSync('umount', ['-l', path])
  }

  function makeWritable(): void {
    if (isReadOnly) unmount()
    isReadOnly = false
  }

  return {
    path,
    fill: async (leaveBytes = 0) => {
      const file = await open(ballast, 'a')
      try {
        for (;;) {
          const { bavail, bsize } = await statfs(path)
          const left = bavail * bsize - leaveBytes
          if (left < bsize) return
          await file.write(Buffer.alloc(Math.min(left, MIB)))
        }
      } finally {
        await file.close()
      }
    },
    empty: () => rm(ballast, { force: true }),
    makeReadOnly: () => {
      // A view of the same disk over itself: the kernel refuses to change the one that has files open for writing.
      mount('--bind', path, path)
      isReadOnly = true
      mount('-o', 'remount,ro,bind', path)
    },
    makeWritable,
    [Symbol.asyncDispose]: async () => {
      makeWritable()
      unmount()
    },
  }
}

function mount(...words: readonly string[]): void {
  execFileSync('mount', words)
}

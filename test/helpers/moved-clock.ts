/** A process whose wall clock is moved while it runs, by Debian's libfaketime; its monotonic clock goes on as it is. */
import { globSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'

export interface MovedClock {
  /** For the process that is to live by this clock. */
  readonly env: Readonly<Record<string, string>>
  /** Moves it, seconds from the true time. */
  set(offsetSeconds: number): Promise<void>
}

const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')

/** Whether libfaketime is here; where not, tests say that they were skipped. */
export const canMoveClocks = library !== undefined

/** `file` is made, and read by the process once a second. */
export async function makeMovedClock(file: string): Promise<MovedClock> {
  const set = async (offsetSeconds: number) => {
    // Whole or not at all: the process may read it at any moment.
    await writeFile(`${file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}`)
    await rename(`${file}.new`, file)
  }
  await set(0)
  const env = {
    LD_PRELOAD: library ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  return { env, set }
}

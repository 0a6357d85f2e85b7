/** Why an index does not open, and what an operator does about it. */
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'

const FULL = 'No space left on device'

/** What LevelDB says of the disk, as text alone -> what an operator does. */
const ADVICE: Readonly<Record<string, string>> = {
  [FULL]: '; free space there, then start the node again',
  'Disk quota exceeded': '; raise the quota or free space, then start the node again',
  'Read-only file system': '; mount it writable, then start the node again',
  'Permission denied': '; let the user that runs the node own it, or give another --data',
}

export function isDiskFull(error: unknown): boolean {
  return messageOf(causeOf(error)).includes(FULL)
}

/** @returns DATA_IN_USE when another process has the directory open, INDEX_OPEN_FAILED otherwise. */
export function openFailed(directory: string, error: unknown): EntrepotError {
  const cause = causeOf(error)
  if (codeOf(cause) === 'LEVEL_LOCKED') {
    const message = `the data directory is in use: another process has ${directory} open. Stop it, or use another --data`
    return new EntrepotError('DATA_IN_USE', message, { cause: error, context: { directory } })
  }
  const advice = ADVICE[messageOf(cause).split(': ').at(-1) ?? ''] ?? ''
  const message = `cannot open the index in ${directory}: ${messageOf(cause)}${advice}`
  return new EntrepotError('INDEX_OPEN_FAILED', message, { cause, context: { directory } })
}

/** LevelDB's own error: what the wrapper throws says only that it did not open. */
function causeOf(error: unknown): unknown {
  return (error instanceof Error ? error.cause : undefined) ?? error
}

/** `--timeout TIME` of commands that wait. */
import { parseDuration } from '../lib/duration.ts'
import { EntrepotError } from '../lib/errors.ts'

/** @returns milliseconds @throws CONFIG_INVALID */
export function timeoutMsOf(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  const message = `--timeout: expected a time such as 90s or 5m, got ${text}`
  throw new EntrepotError('CONFIG_INVALID', message)
}

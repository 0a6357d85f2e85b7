/** Aborts as errors: a signal's reason may be anything, what we throw is an Error. */

export function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error
    ? reason
    : new DOMException('the operation was aborted', 'AbortError')
}

/** The error of everything that is not the OCI API: a code to compare, a context to log, a message to act on. */

export interface ErrorDetail {
  /** Facts for the log, with glossary names. */
  readonly context?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

export class EntrepotError extends Error {
  readonly code: string
  readonly context: Readonly<Record<string, unknown>>

  /** `message` says what was expected, what came, and what to do. */
  constructor(code: string, message: string, { context = {}, cause }: ErrorDetail = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'EntrepotError'
    this.code = code
    this.context = context
  }
}

/** The `code` of any error that carries one (Node's, LevelDB's, ours); undefined otherwise. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The errors of the OCI distribution API: one table of the specification's codes, nothing invented. */

/** Code -> [HTTP status, message]. Distribution-spec, "Error Codes" (code-1 to code-14), and the statuses that clients expect. */
export const OCI_ERRORS = {
  BLOB_UNKNOWN: [404, 'blob unknown to registry'],
  BLOB_UPLOAD_INVALID: [400, 'blob upload invalid'],
  BLOB_UPLOAD_UNKNOWN: [404, 'blob upload unknown to registry'],
  DIGEST_INVALID: [400, 'provided digest did not match uploaded content'],
  MANIFEST_BLOB_UNKNOWN: [404, 'manifest references a manifest or blob unknown to registry'],
  MANIFEST_INVALID: [400, 'manifest invalid'],
  MANIFEST_UNKNOWN: [404, 'manifest unknown to registry'],
  NAME_INVALID: [400, 'invalid repository name'],
  NAME_UNKNOWN: [404, 'repository name not known to registry'],
  SIZE_INVALID: [400, 'provided length did not match content length'],
  UNAUTHORIZED: [401, 'authentication required'],
  DENIED: [403, 'requested access to the resource is denied'],
  UNSUPPORTED: [405, 'the operation is unsupported'],
  TOOMANYREQUESTS: [429, 'too many requests'],
} as const satisfies Record<string, readonly [number, string]>

export type OciErrorCode = keyof typeof OCI_ERRORS

export interface OciErrorOptions {
  /** What was expected, what came, what to do. Shown to the client as `message`. */
  readonly message?: string
  /** Machine-readable facts, shown as `detail`. */
  readonly detail?: unknown
  /** Another status than the table's, where the specification asks for it (416 for a chunk out of order, 413, 503). */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

export class OciError extends Error {
  readonly code: OciErrorCode
  readonly status: number
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor(code: OciErrorCode, options: OciErrorOptions = {}) {
    super(options.message ?? OCI_ERRORS[code][1])
    this.name = 'OciError'
    this.code = code
    this.status = options.status ?? OCI_ERRORS[code][0]
    this.detail = options.detail
    this.headers = options.headers ?? {}
  }
}

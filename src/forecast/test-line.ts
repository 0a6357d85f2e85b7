/** One assertion of an in-file test, judged. */

export interface TestLine {
  readonly ok: boolean
  /** What was found, with path, link and policy; where it is not ok, first what was expected. */
  readonly text: string
}

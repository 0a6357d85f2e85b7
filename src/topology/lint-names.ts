/** The names of the lints: in-file tests ask for them (`lint: NAME, expect: clean`), findings end with them. */

export const LINT_NAMES = [
  'concurrent-writers',
  'matches-nothing',
  'missing-endpoint',
  'no-time-zone',
  'odd-window',
  'overruled-mode',
  'shadowed-origin',
  'single-source',
  'unknown-label',
  'unreachable-node',
  'unused-policy',
  'zero-bandwidth',
] as const

export type LintName = (typeof LINT_NAMES)[number]

/** How the command line writes: facts on standard output, failures in one line, colour only on a terminal. */
import { messageOf } from '../lib/errors.ts'
import type { Finding } from '../storage/finding.ts'

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** Rows of cells, in columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What went wrong, without a stack: the message, and what it came from where that says more. */
export function failureText(error: unknown): string {
  const message = messageOf(error)
  const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : ''
  return cause === '' || message.includes(cause) ? message : `${message} (${cause})`
}

/** One finding of a scan: what and where, and below it what it should be and what helps. */
export function findingText({ kind, path, expected, came, todo, repair }: Finding): string {
  const what = `${kind} ${path}\n  expected ${expected}; came ${came}`
  return `${what}\n  ${repair === undefined ? todo : `repaired: ${repair}`}`
}

/** Findings: what is wrong or doubtful in a topology file, and where. */

export type Severity = 'error' | 'warning'

export interface Finding {
  readonly severity: Severity
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  /** As one would write it: `links[0].center`; empty for the whole file. */
  readonly path: string
  /** What was expected, what came, what to do. */
  readonly message: string
}

/** Keys and list positions from the root of the file. */
export type Path = readonly (string | number)[]

/** A finding before its path has become a line and a column. */
export interface Problem {
  readonly severity: Severity
  readonly path: Path
  /** Whether the key itself is meant, or its value. */
  readonly at: 'key' | 'value'
  readonly message: string
}

export function errorAt(path: Path, message: string, at: Problem['at'] = 'value'): Problem {
  return { severity: 'error', path, at, message }
}

export function warningAt(path: Path, message: string, at: Problem['at'] = 'value'): Problem {
  return { severity: 'warning', path, at, message }
}

export function pathText(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      return index === 0 ? step : `.${step}`
    })
    .join('')
}

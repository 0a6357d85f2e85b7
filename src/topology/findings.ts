/** Findings: what is wrong with a topology file, where, and what was expected. All of them, not the first. */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter } from 'yaml'
import type { LintName } from './lint-names.ts'

export interface Finding {
  /** Errors keep a file from being used, warnings are probably mistakes, notes are worth knowing. */
  readonly severity: 'error' | 'warning' | 'note'
  /** From 1. */
  readonly line: number
  readonly column: number
  /** e.g. `links[0].policies[1]`; empty for the whole file. */
  readonly path: string
  readonly message: string
  /** Of the lint that found it; the message ends with it. */
  readonly lint?: LintName
}

export type Path = readonly PropertyKey[]

export interface FindingOptions {
  /** `error` without it. */
  readonly severity?: Finding['severity']
  /** At the key of the path's end, not at its value. */
  readonly atKey?: boolean
  readonly lint?: LintName
}

export interface Findings {
  add(path: Path, message: string, options?: FindingOptions): void
  /** At a place in the text, for errors of YAML itself. */
  addAt(offset: number, message: string): void
  /** In the order of the file. */
  list(): readonly Finding[]
}

export function createFindings(document: Document, lines: LineCounter): Findings {
  const found: Finding[] = []
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  return {
    add: (path, text, { severity = 'error', atKey = false, lint } = {}) => {
      const at = place(offsetOf(document, path, atKey))
      const message = printable(lint === undefined ? text : `${text} [${lint}]`)
      found.push({
        severity,
        ...at,
        path: printable(pathText(path)),
        message,
        ...(lint === undefined ? {} : { lint }),
      })
    },
    addAt: (offset, message) => {
      found.push({ severity: 'error', ...place(offset), path: '', message: printable(message) })
    },
    list: () => [...found].sort((a, b) => a.line - b.line || a.column - b.column),
  }
}

/** Offset of the deepest node of the path that exists: a missing key points at the map that lacks it. */
function offsetOf(document: Document, path: Path, atKey: boolean): number {
  let node: unknown = document.contents
  let offset = rangeStart(node) ?? 0
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      // Of a key that is there twice the last one is read.
      const pair = node.items.findLast(
        ({ key }) => isScalar(key) && String(key.value) === String(part),
      )
      if (pair === undefined) break
      const keyOffset = rangeStart(pair.key) ?? offset
      if (depth === path.length - 1 && atKey) return keyOffset
      offset = rangeStart(pair.value) ?? keyOffset
      node = pair.value
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part]
      offset = rangeStart(node) ?? offset
    } else break
  }
  return offset
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined
  const { range } = node
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined
}

/** Files may come from others, and findings go to terminals. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

function pathText(path: Path): string {
  return path
    .map((part, depth) =>
      typeof part === 'number' ? `[${part}]` : `${depth === 0 ? '' : '.'}${String(part)}`,
    )
    .join('')
}

/** The known word that is nearest to a misspelt one, if it is near. */
export function suggestion(word: string, known: Iterable<string>): string {
  let best: string | undefined
  let bestDistance = Math.min(3, Math.ceil(word.length / 2))
  for (const candidate of known) {
    // Each letter more is a step, and files may have many thousand names.
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best === undefined ? '' : `; did you mean "${best}"?`
}

/** Insert, delete, replace, or swap neighbours: what a typing slip does. */
function editDistance(a: string, b: string): number {
  let older: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = isSwap ? (older[j - 2] ?? 0) + 1 : change
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    older = row
    row = next
  }
  return row[b.length] ?? 0
}

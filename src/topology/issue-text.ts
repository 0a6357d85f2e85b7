/** What the schema refused, in the words of the file: what was expected, what came, and what was probably meant. */
import type { z } from 'zod'
import { type Findings, type Path, suggestion } from './findings.ts'
import { isLaterKey, isLaterValue } from './not-yet.ts'
import { at } from './readable.ts'
import { knownKeys } from './schema-keys.ts'
import { meantTest } from './test-schema.ts'

type Issue = z.core.$ZodIssue

/** More keys than this are no answer to what was expected. */
const MAX_KEYS_SHOWN = 12
/** Characters of the offending text. */
const MAX_SHOWN = 60

/** zod's kinds of values, as people say. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

/** Adds what there is to say of an issue. `value` is what was parsed, as a whole. */
export function tellIssue(issue: Issue, value: unknown, findings: Pick<Findings, 'add'>): void {
  if (issue.code === 'invalid_union' && issue.path[0] === 'tests' && issue.path.length === 2) {
    tellTest(issue, value, findings)
  } else if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      findings.add([...issue.path, key], refusalOf(key, value, issue.path), { atKey: true })
    }
  } else if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? issue.message
    const message = `${expected}; got "${String(issue.path.at(-1))}"`
    findings.add(issue.path, message, { atKey: true })
  } else {
    findings.add(issue.path, textOf(issue, value))
    if (isWithoutKind(issue, value)) tellUnknownKeys(issue.path.slice(0, -1), value, findings)
  }
}

/** The key that says which of several maps is meant is missing, so none of them was looked at: it may be misspelt. */
function isWithoutKind(issue: Issue, value: unknown): boolean {
  return issue.code === 'invalid_union' && at(value, issue.path) === undefined
}

function tellUnknownKeys(path: Path, value: unknown, findings: Pick<Findings, 'add'>): void {
  const { here, section } = knownKeys(value, path)
  const known = new Set([...here, ...section])
  for (const key of Object.keys(at(value, path) ?? {})) {
    if (known.has(key)) continue
    findings.add([...path, key], refusalOf(key, value, path), { atKey: true })
  }
}

/** Of a test only the kind that was meant counts. */
function tellTest(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  value: unknown,
  findings: Pick<Findings, 'add'>,
): void {
  const test = at(value, issue.path)
  const isMap = typeof test === 'object' && test !== null && !Array.isArray(test)
  const keys = isMap ? Object.keys(test) : []
  const { here } = knownKeys(value, issue.path)
  // Of a test that a later version understands the rest says nothing; a misspelt key says what is missing.
  const later = keys.filter((key) => isLaterKey(key, issue.path))
  const kind = meantTest(test)
  const unknown = kind === -1 ? keys.filter((key) => !here.includes(key)) : []
  const odd = later.length > 0 ? later : unknown
  for (const key of odd) {
    findings.add([...issue.path, key], refusalOf(key, value, issue.path), { atKey: true })
  }
  if (odd.length > 0) return
  const meant = issue.errors[kind]
  if (meant === undefined) findings.add(issue.path, textOf(issue, value))
  for (const inner of meant ?? []) {
    tellIssue({ ...inner, path: [...issue.path, ...inner.path] }, value, findings)
  }
}

function textOf(issue: Issue, value: unknown): string {
  const came = at(value, issue.path)
  if (isLaterValue(came, issue.path)) return `"${String(came)}" is not yet in this version`
  const words = wordsOf(issue)
  const expected = expectedOf(issue, words)
  if (came === undefined) return `"${String(issue.path.at(-1) ?? '')}" is missing: ${expected}`
  const text = JSON.stringify(came)
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text
  const isUnquoted = expected === 'expected text' && typeof came !== 'object'
  const hint = typeof came === 'string' && words.length > 1 ? suggestion(came, words) : ''
  const isSingle = expected === 'expected a list' && typeof came === 'string'
  const advice = isUnquoted ? ': put it in quotes' : isSingle ? `: put it in brackets` : hint
  return `${expected}; got ${shown}${advice}`
}

/** The words that may stand there, where there are only some. */
function wordsOf(issue: Issue): readonly string[] {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  const options = issue.code === 'invalid_union' && 'options' in issue ? issue.options : undefined
  // A word that may be left out is among them as undefined.
  return Array.isArray(options) ? options.filter((option) => typeof option === 'string') : []
}

function expectedOf(issue: Issue, words: readonly string[]): string {
  if (words.length > 0) {
    const quoted = words.map((word) => `"${word}"`).join(', ')
    return words.length === 1 ? `expected ${quoted}` : `expected one of ${quoted}`
  }
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) {
    return issue.message
  }
  return `expected ${KINDS[issue.expected] ?? issue.expected}`
}

/** Why a key may not stand in the map at `path`. */
function refusalOf(key: string, value: unknown, path: Path): string {
  if (isLaterKey(key, path)) return `"${key}" is not yet in this version`
  const { here, section } = knownKeys(value, path)
  const expected =
    here.length > 0 && here.length <= MAX_KEYS_SHOWN ? `; expected one of ${here.join(', ')}` : ''
  // As `members` in a star: a word of the section, of another entry.
  if (section.includes(key)) return `"${key}" does not belong here${expected}`
  const hint = suggestion(key, here) || suggestion(key, section)
  return `unknown key "${key}"${hint || expected}`
}

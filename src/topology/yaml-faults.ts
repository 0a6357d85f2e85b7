/** What is wrong with a file as YAML, in words: the parser speaks to programmers. */
import { type Document, isMap, isScalar, type LineCounter, visit, type YAMLError } from 'yaml'
import type { Findings } from './findings.ts'

/** Errors that are told: one slip can cause thousands, and the first ones say it. */
const MAX_TOLD = 20
/** With these the text can be read all the same: the rest of the file is worth a look. */
const READABLE: ReadonlySet<string> = new Set([
  'DUPLICATE_KEY',
  'MULTIPLE_DOCS',
  'TAG_RESOLVE_FAILED',
])

/** False where the text is so broken that nothing else can be said of it. */
export function tellYamlFaults(
  document: Document,
  lines: LineCounter,
  findings: Pick<Findings, 'addAt'>,
): boolean {
  // A warning is a tag that nobody reads, as in `!secret x`: the author means something by it.
  const faults = [...document.errors, ...document.warnings]
  // Brackets that stay open are all told at the end.
  const distinct = new Map(faults.map((fault) => [`${fault.pos[0]} ${fault.message}`, fault]))
  for (const fault of [...distinct.values()].slice(0, MAX_TOLD)) {
    findings.addAt(fault.pos[0], `YAML: ${faultText(fault, document, lines)}`)
  }
  // It would be dropped without a word, as no map of the language can have it.
  visit(document, {
    Pair: (_, { key }) => {
      if (!isScalar(key) || key.value !== '__proto__') return
      findings.addAt(key.range?.[0] ?? 0, 'expected another key than "__proto__"')
    },
  })
  return faults.every(({ code }) => READABLE.has(code))
}

function faultText({ code, pos, message }: YAMLError, document: Document, lines: LineCounter) {
  if (code === 'MULTIPLE_DOCS') return 'expected one document; a second one begins here, by "---"'
  if (code === 'DUPLICATE_KEY') return twiceText(pos[0], document, lines)
  return yamlWords(message)
}

/** `offset`: where the second one stands. */
function twiceText(offset: number, document: Document, lines: LineCounter): string {
  let text = 'expected keys that stand once; this one is there twice'
  visit(document, {
    Map: (_, map) => {
      if (!isMap(map)) return undefined
      const keys = map.items.flatMap(({ key }) => (isScalar(key) ? [key] : []))
      const second = keys.find(({ range }) => range?.[0] === offset)
      const first = keys.find(({ value }) => second !== undefined && value === second.value)
      if (first?.range == null) return undefined
      const { line } = lines.linePos(first.range[0])
      text = `the key "${String(first.value)}" is there twice, first in line ${line}`
      return visit.BREAK
    },
  })
  return text
}

/** The parser recurses: it runs out of stack in a text of many brackets. */
export function yamlWords(message: string): string {
  if (message.includes('circular structure')) return 'an alias stands inside of what it names'
  return message.includes('call stack') ? 'nested too deeply' : message
}

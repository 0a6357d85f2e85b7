/** What a source file reaches for, read from its syntax tree: strings and comments cannot fool it. */
import { parseSync, Visitor } from 'oxc-parser'

export interface SourceImport {
  /** As written. Undefined when it is computed, so that nobody can tell what it names. */
  readonly specifier: string | undefined
  /** `file`: a path beside this module (`new URL('./x.ts', import.meta.url)`), as a worker is started by. */
  readonly kind: 'import' | 'file'
}

interface Literal {
  readonly type: string
  readonly value?: unknown
}

/** Every import of the file: static, `import type`, `import('x').T`, `export ... from`, dynamic, `require`. */
export function importsOf(path: string, text: string): readonly SourceImport[] {
  const found: SourceImport[] = []
  const add = (source: Literal | null | undefined) => {
    if (source) found.push({ specifier: textOf(source), kind: 'import' })
  }
  new Visitor({
    ImportDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression: ({ callee, arguments: [source] }) => {
      if (callee.type === 'Identifier' && callee.name === 'require') add(source)
    },
    NewExpression: ({ callee, arguments: [source, base] }) => {
      if (callee.type !== 'Identifier' || callee.name !== 'URL') return
      if (!source || base?.type !== 'MemberExpression' || base.object.type !== 'MetaProperty')
        return
      const specifier = textOf(source)
      if (specifier?.startsWith('.')) found.push({ specifier, kind: 'file' })
    },
  }).visit(parse(path, text))
  return found
}

/** Lines where the file asks for the time by `new Date()` or `Date()`, which no linter here can refuse. */
export function linesThatReadTheClock(path: string, text: string): readonly number[] {
  const lines: number[] = []
  const check = (node: { callee: object; arguments: readonly unknown[]; start: number }) => {
    const isDate = 'name' in node.callee && node.callee.name === 'Date'
    if (isDate && node.arguments.length === 0) lines.push(lineOf(text, node.start))
  }
  new Visitor({ NewExpression: check, CallExpression: check }).visit(parse(path, text))
  return lines
}

type Program = ReturnType<typeof parseSync>['program']

/** By text: each rule looks at every file. As many as there are files. */
const parsed = new Map<string, Program>()

function parse(path: string, text: string): Program {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const { program, errors } = parseSync(path, text)
  const [error] = errors
  if (error) throw new Error(`Expected ${path} to be TypeScript, got: ${error.message}`)
  parsed.set(text, program)
  return program
}

function textOf(node: Literal): string | undefined {
  return node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** Globs over repository names and tags: which are well formed, what they match, whether two can meet. */
import picomatch from 'picomatch'

/** Characters: a repository name has at most 255. */
const MAX_LENGTH = 255
/** Runs of `*`. Matching takes time in the power of this number, and names come from clients. */
const MAX_STARS = 4

const OPTIONS = {
  // Names may not begin with a dot, so there is nothing to hide from `*`.
  dot: true,
  nonegate: true,
  noextglob: true,
  strictBrackets: true,
} as const

/** Why the text is no glob over repository names; undefined when it is one. */
export function repositoryGlobProblem(glob: string): string | undefined {
  if (/[A-Z]/.test(glob)) return 'a glob in lower case, as repository names are'
  if (glob.startsWith('/') || glob.endsWith('/') || glob.includes('//')) {
    return 'a glob of name components with one "/" between them, as in team/**'
  }
  return globProblem(glob)
}

/** Why the text is no glob over tags; undefined when it is one. */
export function tagGlobProblem(glob: string): string | undefined {
  return glob.includes('/') ? 'a glob over tags, which contain no "/"' : globProblem(glob)
}

function globProblem(glob: string): string | undefined {
  if (glob === '' || glob.length > MAX_LENGTH) return `a glob of 1 to ${MAX_LENGTH} characters`
  if (glob.startsWith('!')) return 'a glob without "!": globs do not negate, use "exclude" for tags'
  if (!/^(?:[A-Za-z0-9._/*?{},\]-]|\[\^?)+$/.test(glob) || glob.includes('..')) {
    return 'a glob of letters, digits, . _ - /, with * ** ? [a-z] [^a-z] {a,b} as wildcards'
  }
  if ((glob.match(/\*+/g) ?? []).length > MAX_STARS) return `a glob with at most ${MAX_STARS} "*"`
  if (!isBalanced(glob)) return 'a glob whose [ ] and { } are closed, not empty and not nested'
  if (picomatch.makeRe(glob, OPTIONS).source === '$^') return 'a glob whose ranges ascend: [a-z]'
  return undefined
}

/** Brackets stand alone or inside one pair of braces. */
function isBalanced(glob: string): boolean {
  const withoutClasses = glob.replaceAll(/\[\^?[^[\]{},*?/]+\]/g, 'x')
  return !/[[\]{}]/.test(withoutClasses.replaceAll(/\{[^{}]*,[^{}]*\}/g, 'x'))
}

/** Whether a text matches one of the globs, which must be well formed. Compiled once. */
export function matcher(globs: readonly string[]): (text: string) => boolean {
  const expressions = globs.map((glob) => picomatch.makeRe(glob, OPTIONS))
  return (text) => expressions.some((expression) => expression.test(text))
}

/** False only when no name can match both. Decides by what stands before the first wildcard of each. */
export function mayMeet(a: string, b: string): boolean {
  const one = literalStart(a)
  const other = literalStart(b)
  if (one === a) return matcher([b])(a)
  if (other === b) return matcher([a])(b)
  return one.startsWith(other) || other.startsWith(one)
}

/** Whether every name that `b` matches is surely matched by `a`. */
export function covers(a: string, b: string): boolean {
  if (a === '**' || a === b) return true
  const start = literalStart(a)
  if (a !== `${start}/**`) return false
  return b === start || literalStart(b).startsWith(`${start}/`) || b.startsWith(`${start}/`)
}

/** `team/**` matches `team` too, so its "/" does not count. */
function literalStart(glob: string): string {
  const start = /^[^*?[{]*/.exec(glob)?.[0] ?? ''
  return glob.startsWith('**', start.length) ? start.replace(/\/$/, '') : start
}

/** Globs over repository names and tags: which are well formed, and what they match. */
import picomatch from 'picomatch'

/** Characters: a repository name has at most 255. */
const MAX_LENGTH = 255
/** Runs of `*`. Matching takes time in the power of this number, and the names come from clients. */
const MAX_STARS = 4

/**
 * `acme/**` means everything below acme/, not acme itself; `*` stays within one part of a name. Names may not begin
 * with a dot, so there is nothing to hide from `*`.
 */
const OPTIONS = {
  dot: true,
  strictSlashes: true,
  nonegate: true,
  noextglob: true,
  strictBrackets: true,
} as const

/** Whether a text matches one of the globs, which must be well formed. Compiled once. */
export function anyGlob(globs: readonly string[]): (text: string) => boolean {
  return globs.length === 0 ? () => false : picomatch([...globs], OPTIONS)
}

/** Whether REPOSITORY:TAG matches one of the globs `REPOSITORY:TAG`. Compiled once. */
export function imageMatcher(
  globs: readonly string[],
): (repository: string, tag: string) => boolean {
  const pairs = globs.map((glob) => {
    const [repository = '', tag = '*'] = glob.split(':')
    return [anyGlob([repository]), anyGlob([tag])] as const
  })
  return (repository, tag) =>
    pairs.some(([isRepository, isTag]) => isRepository(repository) && isTag(tag))
}

/** What was expected, if the text is no glob over REPOSITORY:TAG. */
export function imageGlobProblem(glob: string): string | undefined {
  const [repository = '', tag, more] = glob.split(':')
  if (tag === undefined || more !== undefined) {
    return 'expected a glob over REPOSITORY:TAG, such as plant/**:stable'
  }
  return repositoryGlobProblem(repository) ?? tagGlobProblem(tag)
}

/** False only when no name can match both. Decides by what stands before the first wildcard of each. */
export function mayMeet(a: string, b: string): boolean {
  const [one, other] = [literalStart(a), literalStart(b)]
  if (one === a) return anyGlob([b])(a)
  if (other === b) return anyGlob([a])(b)
  return one.startsWith(other) || other.startsWith(one)
}

/** A name that the glob matches, for the usual ones. */
export function sampleOf(glob: string): string {
  return glob
    .replaceAll(/\{([^,}]*)[^}]*\}/g, '$1')
    .replaceAll(/\[\^[^\]]*\]/g, 'x')
    .replaceAll(/\[([^\]])[^\]]*\]/g, '$1')
    .replaceAll('**', 'any')
    .replaceAll('*', '1')
    .replaceAll('?', '1')
}

function literalStart(glob: string): string {
  return /^[^*?[{]*/.exec(glob)?.[0] ?? ''
}

/** What was expected, if the text is no glob over repository names: one that never matches is a mistake. */
export function repositoryGlobProblem(glob: string): string | undefined {
  if (/[A-Z]/.test(glob)) return 'expected a glob in lower case, as repository names are'
  if (glob.startsWith('/') || glob.endsWith('/') || glob.includes('//')) {
    return 'expected a glob of parts with one "/" between them, such as team/**'
  }
  return globProblem(glob)
}

/** What was expected, if the text is no glob over tags. */
export function tagGlobProblem(glob: string): string | undefined {
  return glob.includes('/') ? 'expected a glob over tags, which contain no "/"' : globProblem(glob)
}

function globProblem(glob: string): string | undefined {
  if (glob === '' || glob.length > MAX_LENGTH) return `expected 1 to ${MAX_LENGTH} characters`
  if (glob.startsWith('!')) return 'expected a glob without "!"; to leave tags out use tags.exclude'
  if (!/^(?:[A-Za-z0-9._/*?{},\]-]|\[\^?)+$/.test(glob) || glob.includes('..')) {
    return 'expected letters, digits, ". _ - /" and * ** ? [a-z] [^a-z] {a,b}'
  }
  if ((glob.match(/\*+/g) ?? []).length > MAX_STARS) return `expected at most ${MAX_STARS} "*"`
  if (!isBalanced(glob)) return 'expected [ ] and { } that are closed, not empty and not nested'
  if (picomatch.makeRe(glob, OPTIONS).source === '$^') return 'expected ranges that ascend: [a-z]'
  return undefined
}

/** Brackets stand alone or inside one pair of braces. */
function isBalanced(glob: string): boolean {
  const withoutClasses = glob.replaceAll(/\[\^?[^[\]{},*?/]+\]/g, 'x')
  return !/[[\]{}]/.test(withoutClasses.replaceAll(/\{[^{}]*,[^{}]*\}/g, 'x'))
}

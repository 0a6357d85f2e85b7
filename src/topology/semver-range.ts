/** Ranges of versions over tags, as node-semver reads them: `>=1.2.0 <2`, `^3`, `1.x`. */
import { minVersion, satisfies, valid, validRange } from 'semver'

/** What was expected, if the text is no range. */
export function semverProblem(text: string): string | undefined {
  return text.trim() === '' || validRange(text) === null
    ? 'expected a range of versions such as ">=1.2.0 <2.0.0", "^3" or "1.x"'
    : undefined
}

/** Whether a tag is a version (a leading `v` does no harm) within the range. A pre-release is within where the range names one of the same version. */
export function semverMatcher(range: string): (tag: string) => boolean {
  return (tag) => valid(tag) !== null && satisfies(tag, range)
}

/** Whether no version at all is within the range, as in `>2 <1`. */
export function isEmptyRange(range: string): boolean {
  return minVersion(range) === null
}

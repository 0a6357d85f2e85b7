/** Suggests what a misspelt word was meant to be. */

/** Edits (insert, delete, replace, swap of neighbours) up to which a word counts as misspelt: one typing slip, or two. */
const MAX_EDITS = 2
/** Characters. Nothing longer is a name here, and the comparison takes quadratic time. */
const MAX_LENGTH = 64

/** ` (did you mean "x"?)`, or nothing when no known word is near. */
export function suggestion(word: string, known: Iterable<string>): string {
  let best: { readonly word: string; readonly edits: number } | undefined
  for (const candidate of known) {
    const edits = editsBetween(word.toLowerCase(), candidate.toLowerCase())
    const isNear = edits <= MAX_EDITS && edits * 2 < Math.max(word.length, candidate.length)
    if (isNear && (best === undefined || edits < best.edits)) best = { word: candidate, edits }
  }
  return best === undefined ? '' : ` (did you mean "${best.word}"?)`
}

/** Damerau's distance, restricted to neighbouring swaps. */
function editsBetween(a: string, b: string): number {
  const isFar = Math.abs(a.length - b.length) > MAX_EDITS
  if (isFar || a.length > MAX_LENGTH || b.length > MAX_LENGTH) return Number.POSITIVE_INFINITY
  let older: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? at(older, j - 2) + 1 : Number.POSITIVE_INFINITY
      row.push(Math.min(at(previous, j) + 1, at(row, j - 1) + 1, replaced, swapped))
    }
    older = previous
    previous = row
  }
  return at(previous, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}

/** Words of the language that this version does not know yet, by place: refused by name, so that nobody believes they work. */

export interface LaterWords {
  /** A section of the file, or a map inside of its entries; '' = the top. */
  readonly place: string
  readonly keys: readonly string[]
  readonly values: readonly string[]
}

export const LATER_WORDS: readonly LaterWords[] = [
  { place: '', keys: ['enroll', 'upstreams', 'gates', 'levels', 'receipts'], values: [] },
  { place: 'nodes', keys: [], values: ['media'] },
  { place: 'conflict', keys: ['onLoser'], values: ['first-writer'] },
  { place: 'match', keys: ['labels', 'referrers'], values: [] },
  {
    place: 'links',
    keys: ['transport', 'archive', 'oneWay', 'owner'],
    values: ['any-permitted'],
  },
  { place: 'tests', keys: ['facts', 'egress', 'transport'], values: [] },
]

/** `path` leads to the map that has the key. */
export function isLaterKey(key: string, path: readonly PropertyKey[]): boolean {
  return wordsOf(path)?.keys.includes(key) === true
}

/** `path` leads to the value. */
export function isLaterValue(value: unknown, path: readonly PropertyKey[]): boolean {
  return typeof value === 'string' && wordsOf(path.slice(0, -1))?.values.includes(value) === true
}

function wordsOf(path: readonly PropertyKey[]): LaterWords | undefined {
  const [section = '', , inner = section] = path
  const isInside = path.length === 3 && (section === 'origins' || section === 'policies')
  if (path.length !== 0 && path.length !== 2 && !isInside) return undefined
  return LATER_WORDS.find(({ place }) => place === inner)
}

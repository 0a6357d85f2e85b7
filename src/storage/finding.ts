/** What a scan of the data directory finds wrong: where, what was expected, what is there, and what to do about it. */

/** The kinds of damage, each with what a person can do about it. */
export const ADVICE = {
  /** A directory where a repository, tag or digest should be. */
  'name-invalid': 'it is not served; rename or remove it',
  'link-wrong':
    'entrepot verify --repair writes it anew from the index; without an index, push again',
  'link-missing': 'entrepot verify --repair writes it',
  'link-unclaimed':
    'entrepot verify --repair takes it into the index, or removes it where nothing is behind it',
  'blob-missing': 'the node fetches it again from a neighbour; without one, push it again',
  'blob-wrong-size': 'the node fetches it again from a neighbour; without one, push it again',
  'blob-wrong-bytes': 'the node fetches it again from a neighbour; without one, push it again',
  'manifest-missing': 'push it again; a link to nothing is not served',
  'manifest-unreadable': 'it is not served; push it again in a format of today',
  'child-missing': 'push the child, or let a neighbour that has it send it',
  'tag-dangling': 'push the tag again',
  'row-wrong': 'entrepot verify --repair writes it anew from the bytes',
} as const

export type FindingKind = keyof typeof ADVICE

export interface Finding {
  readonly kind: FindingKind
  /** Of the file, relative to the data directory. */
  readonly path: string
  readonly expected: string
  readonly came: string
  readonly todo: string
  /** What a repair did about it; undefined: nothing yet, or nothing could be done here. */
  readonly repair?: string
}

/** `todo` follows from the kind. */
export function finding(
  kind: FindingKind,
  path: string,
  { expected, came }: Pick<Finding, 'expected' | 'came'>,
): Finding {
  return { kind, path, expected, came, todo: ADVICE[kind] }
}

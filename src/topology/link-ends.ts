/** The ends of a link as they are written: which keys of it select nodes. */
import type { LinkDocument } from './schema.ts'
import type { SelectorText } from './words.ts'

export function selectorsOf(link: LinkDocument): readonly (readonly [string, SelectorText])[] {
  switch (link.shape) {
    case 'star':
      return [
        ['center', link.center],
        ['leaves', link.leaves],
      ]
    case 'tree':
      return [
        ['parent', link.parent],
        ['children', link.children],
      ]
    case 'mesh':
    case 'ring':
      return [['members', link.members]]
    case 'explicit':
      return [
        ['from', link.from],
        ['to', link.to],
      ]
  }
}

/** Selectors: which nodes a name, a list or a map of labels means. */
import type { NodeName, TopologyNode } from './topology.ts'
import type { SelectorText } from './words.ts'

/** Nodes in order of name, so that the order of the file means nothing. `*` = all; keys of a map are labels and the parts of a locality; `!x` = not x. */
export function select(
  selector: SelectorText,
  nodes: readonly TopologyNode[],
): readonly NodeName[] {
  return nodes
    .filter((node) => matches(selector, node))
    .map(({ name }) => name)
    .sort()
}

function matches(selector: SelectorText, node: TopologyNode): boolean {
  if (typeof selector === 'string') return selector === '*' || selector === node.name
  if (Array.isArray(selector)) return selector.includes(node.name)
  return Object.entries(selector).every(([key, wanted]) => {
    const value = valueAt(node.labels, key) ?? valueAt(node.locality, key)
    return wanted.startsWith('!') ? value !== wanted.slice(1) : value === wanted
  })
}

/** A label may be called `constructor`, and still nobody has it unless it is written. */
function valueAt(values: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined
}

/** Names in the selector that no node has; labels are checked by what they select. */
export function unknownNames(
  selector: SelectorText,
  names: Pick<ReadonlySet<string>, 'has'>,
): readonly string[] {
  if (typeof selector === 'string') return selector === '*' || names.has(selector) ? [] : [selector]
  return Array.isArray(selector) ? selector.filter((name) => !names.has(name)) : []
}

/** Fills addresses and peer ids into a topology file, where they are missing; comments and order stay. */
import { type Document, isAlias, isMap, parseDocument } from 'yaml'
import type { NodeName } from './topology.ts'

export interface NodeAddresses {
  readonly endpoint: string
  readonly mesh: string
  readonly peerId: string
}

/** The text with every node complete. Expects a text that `readTopology` accepted. */
export function fillTopology(
  text: string,
  addresses: ReadonlyMap<NodeName, NodeAddresses>,
): string {
  const document = parseDocument(text)
  for (const name of addresses.keys()) writeOut(document, ['nodes', name])
  for (const [name, facts] of addresses) {
    for (const [key, value] of Object.entries(facts)) {
      const path = ['nodes', name]
      // `hub:` without anything is a node too.
      if (!isMap(document.getIn(path))) document.setIn(path, document.createNode({}))
      if (!document.hasIn([...path, key])) document.setIn([...path, key], value)
    }
  }
  return document.toString({ lineWidth: 0 })
}

/** A node that is an alias of another gets a map of its own, or both would have one address. */
function writeOut(document: Document, path: readonly string[]): void {
  const node = document.getIn(path, true)
  const resolved = isAlias(node) ? node.resolve(document) : undefined
  if (!isMap(resolved)) return
  const copy = resolved.clone()
  if (!isMap(copy)) return
  // An anchor may stand once, and a comment belongs to the line that it was written on.
  delete copy.anchor
  copy.comment = null
  document.setIn(path, copy)
}

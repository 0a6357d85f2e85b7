/** Other files for the mesh of a topology: more passes, less passes, a link more, a link less. Nodes and writers stay. */
import { type Document, parseDocument } from 'yaml'

/** What changes, and the file in which it has changed. */
export interface Variant {
  readonly what: string
  readonly text: string
}

const MORE = { match: { repos: ['**'] }, mode: 'eager' }
/** Of `TAGS` in `actions.ts` some, among them what all policies let through. */
const SOME_TAGS = ['v1.0*', 'v2*']
/** Of all repositories some. */
const SOME_REPOSITORIES = ['demo/**', 'team-eu/**']

export function variantsOf(text: string): readonly Variant[] {
  return [
    { what: 'as at first', text },
    { what: 'more passes', text: edited(text, letMore) },
    { what: 'fewer tags pass', text: edited(text, letFewerTags) },
    { what: 'fewer repositories pass', text: edited(text, letFewerRepositories) },
    { what: 'a link more', text: edited(text, addLink) },
    // Others get its number, and its place.
    { what: 'a link less', text: edited(text, (document) => document.deleteIn(['links', 0])) },
    { what: 'the links in another order', text: edited(text, turnOrder) },
    { what: 'other links', text: edited(text, turnLinks) },
  ]
}

function edited(text: string, edit: (document: Document) => void): string {
  const document = parseDocument(text)
  document.delete('tests')
  edit(document)
  return document.toString()
}

function letMore(document: Document): void {
  document.setIn(['policies', 'more'], MORE)
  for (const at of linksOf(document).keys()) document.addIn(['links', at, 'policies'], 'more')
}

function letFewerTags(document: Document): void {
  for (const policy of namesIn(document, 'policies'))
    document.setIn(['policies', policy, 'match', 'tags'], { include: SOME_TAGS })
}

function letFewerRepositories(document: Document): void {
  for (const policy of namesIn(document, 'policies')) {
    const { repos } = matchOf(document, policy)
    const fewer = repos.includes('**') ? SOME_REPOSITORIES : repos.slice(0, 1)
    document.setIn(['policies', policy, 'match', 'repos'], fewer)
  }
}

/** A second way to the last node. */
function addLink(document: Document): void {
  const nodes = namesIn(document, 'nodes')
  const [policy = ''] = namesIn(document, 'policies')
  const link = { shape: 'star', center: nodes[1], leaves: [nodes.at(-1)], policies: [policy] }
  document.setIn(['links'], [link, ...linksOf(document)])
}

function turnOrder(document: Document): void {
  const [first, ...others] = linksOf(document)
  document.setIn(['links'], [...others, first])
}

/** A chain from the first node to the last, by the last policy, in place of all. */
function turnLinks(document: Document): void {
  const nodes = namesIn(document, 'nodes')
  const policies = [namesIn(document, 'policies').at(-1)]
  const links = nodes
    .slice(1)
    .map((leaf, at) => ({ shape: 'star', center: nodes[at], leaves: [leaf], policies }))
  document.setIn(['links'], links)
}

function linksOf(document: Document): readonly unknown[] {
  return (document.toJS() as { readonly links: readonly unknown[] }).links
}

function namesIn(document: Document, section: 'nodes' | 'policies'): readonly string[] {
  return Object.keys((document.toJS() as Record<string, object>)[section] ?? {})
}

function matchOf(document: Document, policy: string): { readonly repos: readonly string[] } {
  const { policies } = document.toJS() as {
    readonly policies: Readonly<Record<string, { readonly match: { readonly repos: string[] } }>>
  }
  return policies[policy]?.match ?? { repos: [] }
}

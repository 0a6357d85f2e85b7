/** Links as declared -> link groups: who sends to whom, which policies hold, how fast. */
import { createCalendar } from './calendar.ts'
import type { LinkDocument } from './schema.ts'
import { select } from './selector.ts'
import type { Group, LinkRate, NodeName, Policy, TopologyNode } from './topology.ts'

type Way = 'down' | 'up' | 'either'

const OTHER_WAY = { down: 'up', up: 'down', either: 'either' } as const satisfies Record<Way, Way>

/** A link's groups; ids are the same at every node, as they follow the file. */
export function toGroups(
  link: LinkDocument,
  number: number,
  nodes: readonly TopologyNode[],
  named: (names: readonly string[]) => readonly Policy[],
): readonly Group[] {
  const policies = named(link.policies)
  const rates = {
    down: ratesOf(link, 'down'),
    up: ratesOf(link, 'up'),
    either: ratesOf(link, 'either'),
  }
  const group = (
    id: string,
    senders: readonly NodeName[],
    receivers: readonly NodeName[],
    way: Way,
  ): Group => ({
    id: id === '' ? String(number) : `${number}/${id}`,
    senders,
    receivers,
    policies,
    fetch: link.fetch,
    rates: rates[way],
    back: rates[OTHER_WAY[way]],
  })

  switch (link.shape) {
    case 'mesh': {
      const members = select(link.members, nodes)
      return [group('', members, members, 'either')]
    }
    case 'ring': {
      const present = new Set<string>(nodes.map(({ name }) => name))
      const members = link.members.filter((name) => present.has(name)) as unknown as NodeName[]
      return ringPairs(members, link.direction).map(([from, to]) =>
        group(`${from}/${to}`, [from], [to], 'either'),
      )
    }
    case 'explicit': {
      const receivers = select(link.to, nodes)
      return select(link.from, nodes).flatMap((from) => {
        const to = receivers.filter((other) => other !== from)
        return to.length === 0 ? [] : [group(from, [from], to, 'down')]
      })
    }
    case 'star':
    case 'tree': {
      const [parents, children] =
        link.shape === 'star' ? [link.center, link.leaves] : [link.parent, link.children]
      const flow = link.shape === 'star' ? link.flow : 'out'
      const key = link.shape === 'tree' ? link.match : undefined
      const placeOf = placesBy(key, nodes)
      const others = select(children, nodes)
      return select(parents, nodes).flatMap((parent): readonly Group[] => {
        const place = placeOf.get(parent)
        const below = others.filter(
          (child) =>
            child !== parent &&
            (key === undefined || (place !== undefined && placeOf.get(child) === place)),
        )
        const out = group(parent, [parent], below, 'down')
        // One group a leaf: what it says is for its center alone, and news on a topic reaches every member.
        const into = below.map((child) => group(`${parent}/${child}`, [child], [parent], 'up'))
        return [...(flow === 'in' ? [] : [out]), ...(flow === 'out' ? [] : into)]
      })
    }
  }
}

/** Place of the link in the file, from 0: its groups are named after it. */
export function linkNumber({ id }: Pick<Group, 'id'>): number {
  return Number(id.split('/')[0])
}

/** Each to the next one, the last to the first; and back. Two members are neighbours once. */
function ringPairs(
  members: readonly NodeName[],
  direction: 'both' | 'forward',
): readonly (readonly [NodeName, NodeName])[] {
  const pairs = new Map<string, readonly [NodeName, NodeName]>()
  for (const [at, from] of members.entries()) {
    const to = members[(at + 1) % members.length]
    if (to === undefined || to === from) continue
    pairs.set(`${from} ${to}`, [from, to])
    if (direction === 'both') pairs.set(`${to} ${from}`, [to, from])
  }
  return [...pairs.values()]
}

/** Rates of one direction. Where both ends are alike, `down` is what a member receives and `up` what it sends: the lower one holds. */
function ratesOf({ bandwidth }: LinkDocument, way: Way): readonly LinkRate[] {
  return bandwidth.map(
    ({ when, down = Number.POSITIVE_INFINITY, up = Number.POSITIVE_INFINITY }) => {
      // An entry that says nothing of this direction still ends the search: it is its hour.
      const bitsPerSecond = { down, up, either: Math.min(down, up) }[way]
      return { ...(when === undefined ? {} : { when: createCalendar(when) }), bitsPerSecond }
    },
  )
}

/** For `match: region`: a parent has the children of its own region. */
function placesBy(
  key: 'region' | 'zone' | undefined,
  nodes: readonly TopologyNode[],
): ReadonlyMap<NodeName, string | undefined> {
  return new Map(key === undefined ? [] : nodes.map(({ name, locality }) => [name, locality[key]]))
}

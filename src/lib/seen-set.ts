/** Remembers what was seen, up to a bound; when full, the oldest is forgotten and would count as new again. */

export interface SeenSet {
  /** True the first time. */
  add(item: string): boolean
}

export function createSeenSet({ limit }: { readonly limit: number }): SeenSet {
  const items = new Set<string>()
  return {
    add: (item) => {
      if (items.has(item)) return false
      items.add(item)
      if (items.size > limit) {
        const [oldest] = items
        if (oldest !== undefined) items.delete(oldest)
      }
      return true
    },
  }
}

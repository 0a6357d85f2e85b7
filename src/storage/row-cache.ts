/** Rows of the index that were read lately, decoded: what a pull asks for again and again. Bounded by the bytes of the rows. */
import { LRUCache } from 'lru-cache'

export interface RowCache {
  /** The row, from here or from `read`, which tells its bytes. */
  get<V>(
    key: string,
    read: () => Uint8Array | undefined,
    decode: (bytes: Uint8Array) => V,
  ): V | undefined
  /** Rows that were written: they are read anew. */
  forget(keys: Iterable<string>): void
  clear(): void
}

/** Bytes of encoded rows and their keys: some 30,000 tags and small manifests; decoded they take about three times as much. */
const MAX_BYTES = 8 * 1024 * 1024

export function createRowCache(): RowCache {
  const rows = new LRUCache<string, { readonly value: unknown }>({ maxSize: MAX_BYTES })
  return {
    get: <V>(key: string, read: () => Uint8Array | undefined, decode: (bytes: Uint8Array) => V) => {
      const row = rows.get(key)
      if (row !== undefined) return row.value as V
      const bytes = read()
      if (bytes === undefined) return undefined
      const value = decode(bytes)
      rows.set(key, { value }, { size: key.length + bytes.length })
      return value
    },
    forget: (keys) => {
      for (const key of keys) rows.delete(key)
    },
    clear: () => rows.clear(),
  }
}

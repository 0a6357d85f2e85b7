/** The overlay: what transactions wrote and is not durable yet, over what is. */

/** What the overlay needs of a table. */
interface Codec<V> {
  readonly name: string
  encode(value: V): Uint8Array
  decode(bytes: Uint8Array): V
}

/** Null stands for a row that is deleted. */
export type Writes = Map<string, Uint8Array | null>

/** Reads look into the layers, the newest first, and then into what is committed; writes go into the first layer. */
export function transactionOver(
  read: (key: string) => Uint8Array | undefined,
  layers: readonly [Writes, Writes],
  after: (() => void)[],
) {
  const [own] = layers
  return {
    get: <V>(table: Codec<V>, name: string): V | undefined => {
      const key = keyOf(table, name)
      for (const layer of layers) {
        const bytes = layer.get(key)
        if (bytes === null) return undefined
        if (bytes !== undefined) return table.decode(bytes)
      }
      const bytes = read(key)
      return bytes === undefined ? undefined : table.decode(bytes)
    },
    put: <V>(table: Codec<V>, name: string, value: V) =>
      void own.set(keyOf(table, name), table.encode(value)),
    delete: (table: { readonly name: string }, name: string) =>
      void own.set(keyOf(table, name), null),
    afterCommit: (run: () => void) => void after.push(run),
  }
}

/** `/` ends the table's name, so that `<name>0` is the first key after the table. */
export function keyOf(table: { readonly name: string }, key: string): string {
  return `${table.name}/${key}`
}

/** The whole of a small body in memory. */

/** At most `limit` bytes; undefined where the source has more, of which the rest is not read. */
export async function readAtMost(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > limit) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

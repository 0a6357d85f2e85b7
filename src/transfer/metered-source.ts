/** A source that is measured: how many transfers run from each node, and how fast each was. */
import type { NodeName } from '../topology/topology.ts'
import type { RegistrySource } from './registry-source.ts'

export interface Meter {
  /** A transfer begins. @returns what to call once when it ends, with the bytes that came. */
  begin(node: NodeName): (bytes: number) => void
}

/** Counts a blob's transfer until its body is read to the end or given up. */
export function createMeteredSource(source: RegistrySource, meter: Meter): RegistrySource {
  return {
    manifest: (...ask) => source.manifest(...ask),
    blob: async (node, ...ask) => {
      const end = meter.begin(node)
      try {
        const answer = await source.blob(node, ...ask)
        if (answer.kind === 'blob') return { ...answer, body: counted(answer.body, end) }
        end(0)
        return answer
      } catch (err) {
        end(0)
        throw err
      }
    },
  }
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  end: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      yield chunk
    }
  } finally {
    end(bytes)
  }
}

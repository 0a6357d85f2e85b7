/** Reads a node's live stream of events. */
import { EntrepotError } from '../lib/errors.ts'
import { createTextBlocks } from '../lib/text-blocks.ts'
import { reachNode } from './node-api.ts'

export interface LiveEvent {
  readonly event: string
  readonly data: unknown
}

/** A node that says nothing breaks its silence every 15 s, milliseconds. */
const IDLE_TIMEOUT_MS = 60_000

/**
 * Calls `onEvent` for each event until the signal is aborted or the node ends the stream.
 * @throws NODE_UNREACHABLE, NODE_REFUSED
 */
export async function readEvents(
  url: string,
  onEvent: (event: LiveEvent) => void,
  { signal, tlsCa }: { readonly signal: AbortSignal; readonly tlsCa?: string | undefined },
): Promise<void> {
  try {
    const options = { signal, bodyTimeout: IDLE_TIMEOUT_MS }
    const answer = await reachNode(url, '/api/v1/events', tlsCa, options)
    if (answer.statusCode !== 200) {
      await answer.body.dump()
      throw new EntrepotError('NODE_REFUSED', `${url}/api/v1/events answered ${answer.statusCode}`)
    }
    // Characters may be cut between two chunks.
    answer.body.setEncoding('utf8')
    const blocks = createTextBlocks()
    for await (const chunk of answer.body) {
      for (const block of blocks.push(String(chunk))) {
        const parsed = parse(block)
        if (parsed !== undefined) onEvent(parsed)
      }
    }
  } catch (err) {
    if (!signal.aborted) throw err
  }
}

function parse(block: string): LiveEvent | undefined {
  const event = /^event: ?(.*)$/m.exec(block)?.[1]
  const data = /^data: ?(.*)$/m.exec(block)?.[1]
  return event === undefined || data === undefined
    ? undefined
    : { event, data: JSON.parse(data) as unknown }
}

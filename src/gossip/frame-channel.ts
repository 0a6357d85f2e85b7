/**
 * Channels over libp2p streams: length-prefixed frames, one request and one answer at a time. So neither side ever has
 * more than one frame unread, and a stream's read buffer cannot overflow.
 */
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { PeerId } from '../record/peer-id.ts'
import { type Channel, type ChannelHandler, MAX_FRAME_BYTES } from './network.ts'

export function openFrameChannel(stream: Stream): Channel {
  const frames = lpStream(stream, { maxDataLength: MAX_FRAME_BYTES })
  return {
    request: async (frame, { signal } = {}) => {
      const options = signal === undefined ? {} : { signal }
      try {
        await frames.write(frame, options)
        return (await frames.read(options)).subarray()
      } catch (cause) {
        stream.abort(new Error('channel given up'))
        signal?.throwIfAborted()
        throw new EntrepotError('CHANNEL_CLOSED', `the channel ended: ${messageOf(cause)}`, {
          cause,
        })
      }
    },
    close: async () => {
      await stream.close()
    },
  }
}

/** Answers frame after frame until the stream ends. What `answer` throws ends the stream. */
export async function answerFrames(
  stream: Stream,
  peer: PeerId,
  answer: ChannelHandler,
  logger: Logger,
): Promise<void> {
  const frames = lpStream(stream, { maxDataLength: MAX_FRAME_BYTES })
  const closed = new AbortController()
  stream.addEventListener('close', () => closed.abort())
  try {
    for (;;) {
      const request = await frames.read({ signal: closed.signal })
      const reply = await answer(request.subarray(), { peer, signal: closed.signal })
      await frames.write(reply, { signal: closed.signal })
    }
  } catch (err) {
    const isOver = closed.signal.aborted || stream.status !== 'open'
    if (!isOver) logger.debug({ peer, reason: messageOf(err) }, 'channel aborted')
    stream.abort(err instanceof Error ? err : new Error(messageOf(err)))
  }
}

/**
 * Channels over libp2p streams: length-prefixed frames, one request and one answer at a time. So neither side ever has
 * more than one frame unread, and a stream's read buffer cannot overflow. An answer may take as long as it wants: only
 * the caller's signal, the channel's end or the connection's death end the wait.
 */
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { PeerId } from '../record/peer-id.ts'
import { type Channel, type ChannelHandler, MAX_FRAME_BYTES } from './network.ts'

/** Bytes of the longest length: 7 bits each, for MAX_FRAME_BYTES. */
const MAX_LENGTH_BYTES = 3

const FRAMING = { maxDataLength: MAX_FRAME_BYTES, lengthDecoder: decodeLength }

export function openFrameChannel(stream: Stream): Channel {
  const frames = lpStream(stream, FRAMING)
  let isAsking = false
  return {
    request: async (frame, { signal } = {}) => {
      if (isAsking) throw new EntrepotError('CHANNEL_BUSY', 'the answer before has not come yet')
      const bytes = fitting(frame)
      const options = signal === undefined ? {} : { signal }
      isAsking = true
      try {
        signal?.throwIfAborted()
        await frames.write(bytes, options)
        return (await frames.read(options)).subarray()
      } catch (cause) {
        stream.abort(new Error('channel given up'))
        signal?.throwIfAborted()
        throw new EntrepotError('CHANNEL_CLOSED', `the channel ended: ${messageOf(cause)}`, {
          cause,
        })
      } finally {
        isAsking = false
      }
    },
    close: async () => {
      // Whoever still waits for an answer has to hear that none will come.
      if (isAsking) stream.abort(new Error('channel closed while an answer was awaited'))
      else await stream.close()
    },
  }
}

/** Answers frame after frame until the peer closes. What `answer` throws ends the stream. */
export async function answerFrames(
  stream: Stream,
  peer: PeerId,
  answer: ChannelHandler,
  logger: Logger,
): Promise<void> {
  const frames = lpStream(stream, FRAMING)
  const closed = new AbortController()
  const { signal } = closed
  // A peer that has nothing more to say does not wait for an answer either.
  stream.addEventListener('remoteCloseWrite', () => closed.abort())
  stream.addEventListener('close', () => closed.abort())
  try {
    for (;;) {
      const request = await frames.read({ signal })
      const reply = await answer(request.subarray(), { peer, signal })
      await frames.write(fitting(reply), { signal })
    }
  } catch (err) {
    if (!signal.aborted) {
      logger.debug({ peer, protocol: stream.protocol, reason: messageOf(err) }, 'channel aborted')
      stream.abort(err instanceof Error ? err : new Error(messageOf(err)))
    }
    await stream.close().catch((cause: Error) => stream.abort(cause))
  }
}

/**
 * A frame's length, LEB128. Ours, since the library's goes on reading as long as every byte says that another follows.
 * @throws RangeError while bytes are missing, which makes the library read on; TypeError when there are too many.
 */
function decodeLength(bytes: { readonly byteLength: number; subarray(): Uint8Array }): number {
  let length = 0
  for (const [at, byte] of bytes.subarray().entries()) {
    length |= (byte & 0x7f) << (7 * at)
    if (byte < 0x80) return length
  }
  if (bytes.byteLength < MAX_LENGTH_BYTES) throw new RangeError('length is not complete')
  throw new TypeError(`length of a frame is longer than ${MAX_LENGTH_BYTES} bytes`)
}

/** @throws RangeError before the peer would abort the stream over it. */
function fitting(frame: Uint8Array): Uint8Array {
  if (frame.length <= MAX_FRAME_BYTES) return frame
  throw new RangeError(`frame is ${frame.length} bytes, at most ${MAX_FRAME_BYTES} are allowed`)
}

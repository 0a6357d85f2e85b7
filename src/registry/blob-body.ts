/**
 * The body of a large blob: two buffers in turn, one read always under way, straight to the socket. Web streams would cost
 * four times the processor time.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { ByteRange } from '../storage/blob-store.ts'

/** Bytes of one read and write; larger ones gain nothing, smaller ones cost system calls. Two are in memory per download. */
const BUFFER_BYTES = 512 * 1024

/** Sends the range of the file and ends the response. Resolves also when the client went away. */
export async function sendFile(
  outgoing: ServerResponse,
  path: string,
  headers: Readonly<Record<string, string>>,
  status: number,
  range: ByteRange,
): Promise<void> {
  const file = await open(path, 'r')
  try {
    outgoing.writeHead(status, headers)
    // A write after the client left raises `error` on the response; without a listener it would end the process.
    outgoing.on('error', () => {})
    await pump(outgoing, file, range)
  } catch {
    // The headers are out: cutting the connection is the only way to say that the body is not whole. Clients resume.
    outgoing.destroy()
  } finally {
    await file.close()
  }
}

async function pump(
  outgoing: ServerResponse,
  file: FileHandle,
  { start, end }: ByteRange,
): Promise<void> {
  const buffers = [
    Buffer.allocUnsafeSlow(BUFFER_BYTES),
    Buffer.allocUnsafeSlow(BUFFER_BYTES),
  ] as const
  const written: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()]
  const read = (turn: 0 | 1, at: number) =>
    file.read(buffers[turn], 0, Math.min(BUFFER_BYTES, end - at), at)
  let at = start
  let turn: 0 | 1 = 0
  let reading = at < end ? read(turn, at) : undefined
  while (reading !== undefined) {
    const { bytesRead } = await reading
    if (bytesRead === 0) throw new RangeError('the file is shorter than its blob')
    if (outgoing.destroyed) return
    at += bytesRead
    written[turn] = write(outgoing, buffers[turn].subarray(0, bytesRead))
    turn = turn === 0 ? 1 : 0
    // The other buffer may be read into once the socket has let go of it.
    await written[turn]
    reading = at < end && !outgoing.destroyed ? read(turn, at) : undefined
  }
  await Promise.all(written)
  if (!outgoing.destroyed) outgoing.end()
}

/** Resolves when the socket no longer needs the bytes, also when the client went away. */
function write(outgoing: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => outgoing.write(bytes, () => resolve()))
}

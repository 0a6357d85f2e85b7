/** Bytes of blobs from files: small ones with one read, large ones with two buffers in turn, straight to the socket. */
import { fstatSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { codeOf } from '../lib/errors.ts'
import type { ByteRange } from '../storage/blob-store.ts'

/** Bytes of one read and write; larger ones gain nothing, smaller ones cost system calls. Two are in memory per download. */
const BUFFER_BYTES = 512 * 1024

export interface BlobFile {
  readonly path: string
  /** Bytes of the blob. A file of another size is not the blob: it is not sent. */
  readonly size: number
  readonly range: ByteRange
}

export interface ResponseHead {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

/** Sends bytes that are in memory: straight to the socket where there is one; a web Response costs a third of a small request. */
export function sendBytes(
  { method, outgoing }: { readonly method: string; readonly outgoing: ServerResponse | undefined },
  bytes: Uint8Array,
  { status, headers }: ResponseHead,
): Response {
  if (outgoing === undefined || method === 'HEAD') {
    return new Response(Uint8Array.from(bytes), { status, headers })
  }
  // The client may be gone: without a listener a late error of the socket would end the process.
  outgoing.on('error', () => {})
  outgoing.writeHead(status, headers)
  outgoing.end(bytes)
  return RESPONSE_ALREADY_SENT
}

/** The range in memory; undefined when the file is not the whole blob. */
export function readPart(blob: BlobFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { start, end } = blob.range
  return withFile(blob, async (file) => {
    const { buffer, bytesRead } = await file.read(
      Buffer.allocUnsafe(end - start),
      0,
      end - start,
      start,
    )
    return bytesRead === end - start ? buffer : undefined
  })
}

/**
 * Sends the range and ends the response; resolves also when the client went away. Web streams would cost four times the
 * processor time. @returns false, with nothing sent, when the file is not the whole blob. `onFault` hears of a file that
 * cannot be read to its end.
 */
export async function sendFile(
  outgoing: ServerResponse,
  blob: BlobFile,
  { status, headers }: ResponseHead,
  onFault: (err: unknown) => void,
): Promise<boolean> {
  const isSent = await withFile(blob, async (file) => {
    outgoing.writeHead(status, headers)
    // A write after the client left raises `error` on the response; without a listener it would end the process.
    outgoing.on('error', () => {})
    try {
      await pump(outgoing, file, blob.range)
    } catch (err) {
      onFault(err)
      // The headers are out: cutting the connection is the only way to say that the body is not whole. Clients resume.
      outgoing.destroy()
    }
    return true
  })
  return isSent ?? false
}

async function withFile<T>(
  { path, size }: BlobFile,
  use: (file: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const file = await open(path, 'r').catch((err: unknown) => {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err
  })
  if (file === undefined) return undefined
  try {
    // The inode of an open file is in memory: asking it here is cheaper than a turn of the thread pool.
    if (fstatSync(file.fd).size !== size) return undefined
    return await use(file)
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
  const letGo = [() => {}, () => {}]
  // A response that waits behind another on its connection never hears of its writes when the client leaves.
  outgoing.once('close', () => {
    for (const resolve of letGo) resolve()
  })
  const read = (turn: 0 | 1, at: number) =>
    file.read(buffers[turn], 0, Math.min(BUFFER_BYTES, end - at), at)
  /** Resolves when the socket no longer needs the bytes, also when the client went away. */
  const write = (turn: 0 | 1, length: number) =>
    new Promise<void>((resolve) => {
      letGo[turn] = resolve
      outgoing.write(buffers[turn].subarray(0, length), () => resolve())
    })

  const written: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()]
  let at = start
  let turn: 0 | 1 = 0
  let reading = at < end ? read(turn, at) : undefined
  while (reading !== undefined) {
    const { bytesRead } = await reading
    if (bytesRead === 0) throw new RangeError('the file is shorter than its blob')
    if (outgoing.destroyed) return
    at += bytesRead
    written[turn] = write(turn, bytesRead)
    turn = turn === 0 ? 1 : 0
    // The other buffer may be read into once the socket has let go of it.
    await written[turn]
    reading = at < end && !outgoing.destroyed ? read(turn, at) : undefined
  }
  await Promise.all(written)
  if (!outgoing.destroyed) outgoing.end()
}

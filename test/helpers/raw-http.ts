/** HTTP spoken byte by byte over a socket: what no well-behaved client library would send. */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface RawAnswer {
  /** Of the first response; undefined when the connection was closed without one. */
  readonly status: number | undefined
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>
  /** What followed the first response's head, as it came. */
  readonly body: string
  /** Everything that came. */
  readonly text: string
  readonly isClosed: boolean
  /** Parts that were sent before the connection was closed. */
  readonly sent: number
}

export interface RawOptions {
  /** Milliseconds until the answer counts as not given. */
  readonly timeoutMs?: number
  /** Wait until the connection is closed, also when the first answer is whole. */
  readonly untilClosed?: boolean
  /** Wait so long before each part but the first, milliseconds: a slow sender. */
  readonly pauseMs?: number
}

/** Generous: everything that is cut, is cut by bounds of a second or two in these tests. */
const TIMEOUT_MS = 20_000

/** Sends the parts one after the other. @throws when neither a whole answer nor the end of the connection came in time */
export async function exchange(
  port: number,
  parts: readonly (string | Uint8Array)[],
  { timeoutMs = TIMEOUT_MS, untilClosed = false, pauseMs = 0 }: RawOptions = {},
): Promise<RawAnswer> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const chunks: Buffer[] = []
  let isClosed = false
  const over = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      const sent = Buffer.concat(parts.map((part) => Buffer.from(part))).toString('latin1')
      reject(
        new Error(
          `no answer and no end within ${timeoutMs} ms to ${JSON.stringify(sent.slice(0, 2_000))}`,
        ),
      )
    }, timeoutMs)
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (!untilClosed && isWhole(Buffer.concat(chunks).toString('latin1'))) done()
    })
    // A reset is an end too: the node closes while we still send.
    socket.on('error', () => {})
    socket.on('close', () => {
      isClosed = true
      done()
    })
  })
  try {
    const [sent] = await Promise.all([send(socket, parts, pauseMs, () => isClosed), over])
    return { ...read(Buffer.concat(chunks).toString('latin1')), isClosed, sent }
  } finally {
    socket.destroy()
  }
}

async function send(
  socket: Socket,
  parts: readonly (string | Uint8Array)[],
  pauseMs: number,
  isOver: () => boolean,
): Promise<number> {
  for (const [at, part] of parts.entries()) {
    if (at > 0 && pauseMs > 0) await delay(pauseMs)
    if (isOver() || socket.destroyed) return at
    socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
  }
  return parts.length
}

function read(text: string): Omit<RawAnswer, 'isClosed' | 'sent'> {
  // 100 Continue is no answer yet.
  const rest = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '')
  const end = rest.indexOf('\r\n\r\n')
  const [line = '', ...fields] = (end === -1 ? rest : rest.slice(0, end)).split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1]
  const headers = new Map(
    fields.map((field): [string, string] => {
      const colon = field.indexOf(':')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
    }),
  )
  return {
    status: status === undefined ? undefined : Number(status),
    headers,
    body: end === -1 ? '' : rest.slice(end + 4),
    text,
  }
}

function isWhole(text: string): boolean {
  if (!text.includes('\r\n\r\n')) return false
  const { status, headers, body } = read(text)
  if (status === undefined) return false
  if (status === 204 || status === 304) return true
  const length = headers.get('content-length')
  if (length !== undefined) return body.length >= Number(length)
  return headers.get('transfer-encoding') === 'chunked' && body.endsWith('0\r\n\r\n')
}

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { OciError } from '../../../src/oci/errors.ts'
import { type ArrivingBlob, sendArriving } from '../../../src/registry/arriving-body.ts'
import { digestNamed } from '../../helpers/writers.ts'

const CHUNKS = 50

/** A client whose socket is full after every write; `most`: listeners of one event at a time. */
function createClient() {
  const state = { written: 0, isEnded: false, most: 0, destroyed: false }
  const events = new EventEmitter()
  const outgoing = Object.assign(events, {
    writeHead: () => {},
    write: (bytes: Uint8Array) => {
      state.written += bytes.length
      setImmediate(() => {
        state.most = Math.max(state.most, events.listenerCount('close'))
        events.emit('drain')
      })
      return false
    },
    end: () => {
      state.isEnded = true
    },
    destroy: () => {
      state.destroyed = true
    },
  })
  Object.defineProperty(outgoing, 'destroyed', { get: () => state.destroyed })
  return { state, events, outgoing: outgoing as never as ServerResponse }
}

const blobOf = (read: ArrivingBlob['read']): ArrivingBlob => ({ size: CHUNKS, read })
const ask = (outgoing: ServerResponse) => ({
  digest: digestNamed('blob'),
  range: { start: 0, end: CHUNKS },
  outgoing,
  logger: silentLogger,
})
const HEAD = { status: 200, headers: {} }

async function* bytes(count = CHUNKS, fault?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at += 1) yield Uint8Array.of(at)
  if (fault !== undefined) throw fault
}

describe('registry / arriving body', () => {
  test('a client that takes its bytes slowly gets all of them, and listeners do not pile up', async () => {
    const { state, events, outgoing } = createClient()
    await sendArriving(
      blobOf(() => bytes()),
      ask(outgoing),
      HEAD,
    )
    expect(state).toMatchObject({ written: CHUNKS, isEnded: true, destroyed: false })
    expect(state.most).toBeLessThanOrEqual(2)
    expect(events.listenerCount('drain')).toBe(0)
  })

  test('before the first byte it is 503 with the reason; after it the connection is cut', async () => {
    const fault = new Error('hub: not there')
    const early = sendArriving(
      blobOf(() => bytes(0, fault)),
      ask(createClient().outgoing),
      HEAD,
    )
    await expect(early).rejects.toMatchObject({ status: 503, code: 'TOOMANYREQUESTS' })
    await expect(early).rejects.toBeInstanceOf(OciError)
    const { state, outgoing } = createClient()
    await sendArriving(
      blobOf(() => bytes(3, fault)),
      ask(outgoing),
      HEAD,
    )
    expect(state).toMatchObject({ written: 3, isEnded: false, destroyed: true })
  })

  test('a full disk of this node is named as that, without the paths of the machine', async () => {
    const fault = Object.assign(new Error('ENOSPC: no space left on device, write /srv/x'), {
      code: 'ENOSPC',
    })
    const answer = sendArriving(
      blobOf(() => bytes(0, fault)),
      ask(createClient().outgoing),
      HEAD,
    )
    await expect(answer).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/disk of this node.*ENOSPC/),
    })
    await expect(answer).rejects.toMatchObject({ message: expect.not.stringContaining('/srv') })
  })

  test('a client that left, before or while bytes come, ends the reading', async () => {
    const signals: AbortSignal[] = []
    const silent = blobOf(async function* (_range, signal) {
      signals.push(signal)
      signal.throwIfAborted()
      yield Uint8Array.of(1)
      signal.throwIfAborted()
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    })
    const leaving = createClient()
    const sent = sendArriving(silent, ask(leaving.outgoing), HEAD)
    await new Promise((resolve) => setImmediate(resolve))
    leaving.state.destroyed = true
    leaving.events.emit('close')
    await sent
    const gone = createClient()
    gone.state.destroyed = true
    await expect(sendArriving(silent, ask(gone.outgoing), HEAD)).rejects.toThrow('has left')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    expect(gone.state.written).toBe(0)
  })
})

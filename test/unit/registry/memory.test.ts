import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { request } from 'undici'
import { expect, it } from 'vitest'
import { createHasher, digestOf } from '../../../src/oci/digest.ts'
import { bytesOf } from '../../helpers/images.ts'
import { startRegistry } from './registry-rig.ts'

const MIB = 1024 * 1024
const SIZE_MIB = 256
/** Growth of the whole process, client and server, bytes: a fraction of the blob, generous for a lazy collector. */
const MAX_GROWTH = 120 * MIB

it('memory does not grow with the blob: 256 MiB pushed and pulled', async () => {
  await using registry = await startRegistry()
  const piece = bytesOf('piece', MIB)
  const hasher = createHasher()
  for (let at = 0; at < SIZE_MIB; at += 1) hasher.update(piece)
  const digest = hasher.digest()

  let peak = 0
  const before = process.memoryUsage().rss
  const look = () => {
    peak = Math.max(peak, process.memoryUsage().rss - before)
  }
  async function* body() {
    for (let at = 0; at < SIZE_MIB; at += 1) {
      look()
      yield piece
    }
  }
  const location = await registry.begin('team/app')
  const patched = await request(`${registry.url}${location}`, {
    method: 'PATCH',
    body: Readable.from(body()),
  })
  expect(patched.statusCode).toBe(202)
  await patched.body.dump()
  const put = await registry.ask(`${location}?digest=${digest}`, { method: 'PUT' })
  expect(put.status).toBe(201)

  const pulled = await request(`${registry.url}/v2/team/app/blobs/${digest}`)
  const check = createHasher()
  for await (const chunk of pulled.body) {
    check.update(chunk as Uint8Array)
    look()
  }
  await turn()
  expect(check.digest()).toBe(digest)
  expect(digest).not.toBe(digestOf(piece))
  expect(peak).toBeLessThan(MAX_GROWTH)
}, 60_000)

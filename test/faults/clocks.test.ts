import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { canMoveClocks, makeMovedClock } from '../helpers/moved-clock.ts'
import { digestAt, errorsOf, pushBlob } from '../helpers/registry-calls.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, isFull, startFaultMesh } from './fault-mesh.ts'

const HOUR = 3_600
/** Milliseconds: neighbours tell each other the time every half minute. */
const NOTICE_MS = 90_000
if (!canMoveClocks) console.log('faults: clocks are not moved, libfaketime is missing')

test.skipIf(!canRun || !canMoveClocks).each(isFull ? [HOUR, -HOUR] : [-HOUR])(
  'the clock of one node is off by %i s: it goes on receiving, is no writer until it is right again',
  async (offset) => {
    await using faults = await startFaultMesh('mesh.yaml', { start: ['fra', 'iad'] })
    const { mesh } = faults
    const [fra, nrt] = [mesh.node('fra'), mesh.node('nrt')]
    const clock = await makeMovedClock(join(mesh.directory, 'clock-of-nrt'))
    await clock.set(offset)
    await nrt.start({ env: clock.env })
    const pushed = createAcknowledged()

    const image = makeImage(`news ${offset}`)
    await pushed.push(fra, 'shared/app', 'v1', image)
    await eventually(async () => (await digestAt(nrt.url, 'shared/app', 'v1')) === image.digest)

    const refused = makeImage(`refused ${offset}`)
    const put = () =>
      fetch(`${nrt.url}/v2/shared/app/manifests/v1`, {
        method: 'PUT',
        headers: { 'content-type': refused.mediaType },
        body: Uint8Array.from(refused.bytes),
      })
    const answer = await put()
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    const [error] = await errorsOf(answer)
    expect(error?.message).toMatch(/clock/)
    // What it refused is nowhere.
    expect(await digestAt(nrt.url, 'shared/app', 'v1')).toBe(image.digest)

    await clock.set(0)
    await eventually(
      async () => {
        for (const blob of refused.blobs) await pushBlob(nrt.url, 'shared/app', blob)
        return (await put()).status === 201
      },
      { timeoutMs: NOTICE_MS },
    )
    await pushed.push(nrt, 'shared/app', 'v2', makeImage(`right again ${offset}`))
    await pushed.push(nrt, 'shared/app', 'v1', makeImage(`last word ${offset}`))
    await pushed.check(mesh.nodes)
  },
)

test.skipIf(!canRun || !canMoveClocks)(
  'the clock of a node jumps forward and back while it runs: nothing is lost, nothing comes back',
  async () => {
    await using faults = await startFaultMesh('mesh.yaml', { start: ['fra', 'iad'] })
    const { mesh } = faults
    const [fra, nrt] = [mesh.node('fra'), mesh.node('nrt')]
    const clock = await makeMovedClock(join(mesh.directory, 'clock-of-nrt'))
    await nrt.start({ env: clock.env })
    const pushed = createAcknowledged()
    await pushed.push(nrt, 'shared/app', 'v1', makeImage('before'))
    for (const offset of [HOUR, 0, -HOUR, 0]) {
      await clock.set(offset)
      const image = makeImage(`while off by ${offset}`)
      await pushed.push(fra, 'shared/app', 'v1', image)
      await eventually(async () => (await digestAt(nrt.url, 'shared/app', 'v1')) === image.digest)
    }
    await pushed.check(mesh.nodes)
  },
)

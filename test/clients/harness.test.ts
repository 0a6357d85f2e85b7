import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { arrival, startPair } from '../helpers/pair.ts'
import { digestAt, pushImage } from '../helpers/registry-calls.ts'
import { testWith } from './programs.ts'

test('a node that is frozen answers nothing, and takes in what it missed when it goes on', async () => {
  await using mesh = await startPair()
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [before, meanwhile] = [makeImage('before'), makeImage('meanwhile')]
  await pushImage(hub.url, 'demo/app', 'v1', before)
  expect(await arrival(edge, 'demo/app', 'v1')).toBe(before.digest)
  edge.pause()
  // Long beside an answer on loopback, which takes a millisecond.
  const answer = fetch(`${edge.url}/v2/`, { signal: AbortSignal.timeout(500) })
  await expect(answer).rejects.toThrow('timeout')
  await pushImage(hub.url, 'demo/app', 'v2', meanwhile)
  edge.continue()
  expect(await arrival(edge, 'demo/app', 'v2')).toBe(meanwhile.digest)
  const { pid } = edge
  await edge.restart()
  expect(edge.pid).not.toBe(pid)
  expect(await digestAt(edge.url, 'demo/app', 'v2')).toBe(meanwhile.digest)
})

test('a mesh that is disposed of leaves no process and no file', async () => {
  const mesh = await startPair()
  const pids = mesh.nodes.map(({ pid }) => pid ?? 0)
  for (const pid of pids) expect(process.kill(pid, 0)).toBe(true)
  await mesh[Symbol.asyncDispose]()
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  expect(existsSync(mesh.directory)).toBe(false)
  await expect(startMesh({ text: 'kind: Nonsense' })).rejects.toThrow('apiVersion')
})

testWith(['faketime'])('a node whose clock is off is seen to be off by its neighbour', async () => {
  await using mesh = await startPair({ start: ['hub'] })
  const wrapper = ['faketime', '-f', '+10m']
  await mesh.node('edge').start({ wrapper, env: { FAKETIME_DONT_FAKE_MONOTONIC: '1' } })
  const offset = await eventually(async () => {
    const { neighbours } = await statusOf(mesh.node('hub'))
    return neighbours[0]?.clockOffsetMs
  })
  expect(Math.abs(offset - 600_000)).toBeLessThan(5_000)
})

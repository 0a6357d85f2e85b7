/** Reader threads: the system deals connections out, so of 32 new ones some reach each thread. */
import { request } from 'node:http'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { statusOf } from '../helpers/admin-calls.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const CONNECTIONS = 32

interface Answer {
  readonly status: number | undefined
  readonly bytes: Buffer
}

/** On a connection of its own. */
function ask(url: string, method: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (answer) => {
      answer
        .toArray()
        .then(
          (chunks) => resolve({ status: answer.statusCode, bytes: Buffer.concat(chunks) }),
          reject,
        )
    })
    asked.on('error', reject).end()
  })
}

test('with readers every connection gets the same answers, pushes as well as pulls', async () => {
  const flags = ['--readers', '2']
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'], flags })
  const hq = mesh.node('hq')
  const images = Array.from({ length: 4 }, (_, at) =>
    makeImage(`by readers ${at}`, { layers: 2, layerBytes: 3_000_000 }),
  )
  await Promise.all(images.map((image, at) => pushImage(hq.url, 'demo/app', `v${at}`, image)))
  for (const [at, image] of images.entries()) await comparePull(hq.url, 'demo/app', `v${at}`, image)

  const layer = images[0]?.blobs[1]
  if (layer === undefined) throw new Error('an image has layers')
  const blob = `${hq.url}/v2/demo/app/blobs/${layer.digest}`
  const repeat = <T>(one: () => Promise<T>) => Promise.all(Array.from({ length: CONNECTIONS }, one))
  for (const { status, bytes } of await repeat(() => ask(blob, 'GET'))) {
    expect(status).toBe(200)
    expect(digestOf(bytes)).toBe(layer.digest)
  }
  for (const { status, bytes } of await repeat(() => ask(blob, 'GET', { range: 'bytes=-10' }))) {
    expect(status).toBe(206)
    expect(bytes).toEqual(Buffer.from(layer.bytes).subarray(-10))
  }
  const absent = `${hq.url}/v2/demo/app/blobs/${digestOf(Buffer.from('absent'))}`
  for (const { status, bytes } of await repeat(() => ask(absent, 'GET'))) {
    expect(status).toBe(404)
    expect(JSON.parse(bytes.toString()).errors[0].code).toBe('BLOB_UNKNOWN')
  }
  // A client cannot say for another where it comes from.
  const spoofed = { 'x-entrepot-caller': '10.9.8.7' }
  for (const { status } of await repeat(() => ask(`${hq.url}/v2/`, 'GET', spoofed)))
    expect(status).toBe(200)
  expect((await statusOf(hq)).node).toBe('hq')

  expect(await hq.stop()).toBe(0)
  await hq.start({ flags: ['--readers', '0'] })
  expect(await digestAt(hq.url, 'demo/app', 'v0')).toBe(images[0]?.digest)
})

test('a port that another node has is refused, also with readers', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'] })
  const taken = new URL(mesh.node('hq').url).host
  const start = mesh.node('lon').start({ flags: ['--readers', '1', '--listen', taken] })
  await expect(start).rejects.toThrow(/is taken by another process/)
})

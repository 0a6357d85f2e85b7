import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { distributionLayout } from '../helpers/distribution-layout.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { comparePull, digestAt, errorsOf, pushBlob, pushImage } from '../helpers/registry-calls.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { status, stdout, stderr }
}

test('a port that is taken, a directory in use, a directory that cannot be written and a wrong topology are said in one line each', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const [hq, lon] = [mesh.node('hq'), mesh.node('lon')]
  const serve = (name: string, data: string, ...more: readonly string[]) =>
    run('serve', '--topology', mesh.topologyFile, '--node', name, '--data', data, ...more)

  const taken = createServer().listen(Number(new URL(lon.url).port), '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const port = serve('lon', lon.dataDirectory)
  taken.close()
  expect(port.status).toBe(1)
  expect(port.stderr).toMatch(/port \d+ on 127\.0\.0\.1 is taken by another process/)

  await hq.start()
  const inUse = serve('hq', hq.dataDirectory, '--listen', '127.0.0.1:0')
  expect(inUse.status).toBe(1)
  expect(inUse.stderr).toContain('the data directory is in use')

  await writeFile(join(mesh.directory, 'file'), '')
  const noDirectory = serve('lon', join(mesh.directory, 'file', 'data'))
  expect(noDirectory.status).toBe(1)
  expect(noDirectory.stderr).toContain('cannot use the data directory')

  const wrong = join(mesh.directory, 'wrong.yaml')
  await writeFile(wrong, 'apiVersion: entrepot/v1\nkind: Topology\nnodez: {}\n')
  const topology = run('serve', '--topology', wrong, '--node', 'hq', '--data', hq.dataDirectory)
  expect(topology.status).toBe(1)
  expect(topology.stderr).toMatch(
    /wrong\.yaml:3:1: error: nodez: unknown key "nodez"; did you mean "nodes"\?/,
  )
  for (const { stderr } of [port, inUse, noDirectory, topology])
    expect(stderr).not.toMatch(/\n\s+at /)
  expect(run('serve', '--node', 'hq').status).toBe(2)
})

test('SIGTERM lets a download under way end and then ends the node with exit code 0', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  await hq.start()
  const image = makeImage('large', { layers: 1, layerBytes: 64 * 1024 * 1024 })
  await pushImage(hq.url, 'demo/app', 'v1', image)
  const layer = image.blobs[1]
  const answer = await fetch(`${hq.url}/v2/demo/app/blobs/${layer?.digest}`)
  const reader = answer.body?.getReader()
  let bytes = (await reader?.read())?.value?.length ?? 0
  const ending = hq.stop()
  for (;;) {
    const part = await reader?.read()
    if (part?.value === undefined) break
    bytes += part.value.length
  }
  expect(bytes).toBe(layer?.bytes.length)
  expect(await ending).toBe(0)
  await hq.start()
  await comparePull(hq.url, 'demo/app', 'v1', image)
})

test('bad input gets the right answer each, and the node serves on', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  await hq.start()
  const image = makeImage('good')
  await pushImage(hq.url, 'demo/app', 'v1', image)
  const post = (path: string, body: string) => fetch(`${hq.url}${path}`, { method: 'POST', body })
  const put = (path: string, body: string | Uint8Array<ArrayBuffer>, type: string) =>
    fetch(`${hq.url}${path}`, { method: 'PUT', body, headers: { 'content-type': type } })
  const oci = 'application/vnd.oci.image.manifest.v1+json'
  const digest = `sha256:${'0'.repeat(64)}`

  const cases: readonly (readonly [Response, number, string])[] = [
    [
      await post(`/v2/demo/app/blobs/uploads/?digest=${digest}`, 'other bytes'),
      400,
      'DIGEST_INVALID',
    ],
    [await post('/v2/demo/app/blobs/uploads/?digest=md5:abc', 'bytes'), 400, 'DIGEST_INVALID'],
    [
      await put('/v2/demo/app/manifests/v2', new Uint8Array(5 * 1024 * 1024), oci),
      413,
      'MANIFEST_INVALID',
    ],
    [await put('/v2/demo/app/manifests/v2', '{"schemaVersion":2', oci), 400, 'MANIFEST_INVALID'],
    [
      await put(`/v2/demo/app/manifests/${digest}`, Buffer.from(image.bytes), oci),
      400,
      'DIGEST_INVALID',
    ],
    [
      await put(
        '/v2/demo/app/manifests/v2',
        Buffer.from(makeImage('its blobs are not here').bytes),
        oci,
      ),
      404,
      'MANIFEST_BLOB_UNKNOWN',
    ],
    [await fetch(`${hq.url}/v2/Demo/App/manifests/v1`), 400, 'NAME_INVALID'],
    [await fetch(`${hq.url}/v2/demo%2f..%2f..%2fetc/manifests/v1`), 400, 'NAME_INVALID'],
    [await fetch(`${hq.url}/v2/${'a'.repeat(300)}/manifests/v1`), 400, 'NAME_INVALID'],
    [await fetch(`${hq.url}/v2/demo/app/manifests/..%00`), 404, 'MANIFEST_UNKNOWN'],
    [await fetch(`${hq.url}/v2/demo/app/blobs/uploads/../../x`), 404, 'NAME_UNKNOWN'],
    [await fetch(`${hq.url}/v2/demo/app/blobs/${digest}`), 404, 'BLOB_UNKNOWN'],
  ]
  for (const [answer, status, code] of cases) {
    expect([answer.url, answer.status, (await errorsOf(answer))[0]?.code]).toEqual([
      answer.url,
      status,
      code,
    ])
  }
  await comparePull(hq.url, 'demo/app', 'v1', image)
})

test('a body that ends too early stores nothing, and the upload goes on from what came', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  await hq.start()
  const blob = makeImage('cut', { layers: 1, layerBytes: 3_000_000 }).blobs[1]
  if (blob === undefined) throw new Error('no layer')
  const begun = await fetch(`${hq.url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
  const location = `${hq.url}${begun.headers.get('location')}`
  // The sender dies after two of three megabytes.
  const half = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(blob.bytes.subarray(0, 2_000_000))
    },
    pull: (controller) => {
      controller.error(new Error('the sender died'))
    },
  })
  const cut = { method: 'PATCH', body: half, duplex: 'half' } as RequestInit
  await fetch(location, cut).catch(() => {})
  let offset = 0
  for (let tries = 0; tries < 100 && offset === 0; tries += 1) {
    const status = await fetch(location)
    offset = status.status === 204 ? Number(status.headers.get('range')?.split('-')[1]) + 1 : 0
    if (offset <= 1) offset = 0
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect((await fetch(`${hq.url}/v2/demo/app/blobs/${blob.digest}`)).status).toBe(404)

  // kill -9 in between: the session outlives it.
  await hq.kill()
  await hq.start()
  const status = await fetch(location)
  const from = Number(status.headers.get('range')?.split('-')[1]) + 1
  expect(from).toBeGreaterThan(1)
  const rest = blob.bytes.subarray(from)
  const range = `${from}-${blob.bytes.length - 1}`
  const patched = await fetch(location, {
    method: 'PATCH',
    body: Uint8Array.from(rest),
    headers: { 'content-range': range },
  })
  expect(patched.status).toBe(202)
  const done = await fetch(`${location}?digest=${blob.digest}`, { method: 'PUT' })
  expect(done.status).toBe(201)
  const got = await fetch(`${hq.url}/v2/demo/app/blobs/${blob.digest}`)
  expect(Buffer.from(await got.arrayBuffer()).equals(blob.bytes)).toBe(true)
  await pushBlob(hq.url, 'demo/app', blob)
})

test('SIGTERM in the middle of an adoption ends the node with exit code 0, and the next start goes on', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  const layout = distributionLayout(hq.dataDirectory)
  const image = makeImage('found')
  const repositories = Array.from({ length: 400 }, (_, at) => `demo/found-${at}`)
  for (const repository of repositories) await layout.putImage(repository, 'v1', image)
  const starting = hq.start()
  starting.catch(() => {})
  await eventually(async () => (await fetch(`${hq.url}/healthz`)).ok)
  expect(await hq.stop()).toBe(0)
  await expect(starting).rejects.toThrow('before it was ready')
  expect(hq.log()).not.toMatch(/node is up|\n\s+at /)
  await hq.start()
  for (const repository of [repositories[0], repositories.at(-1)]) {
    expect(await digestAt(hq.url, repository ?? '', 'v1')).toBe(image.digest)
  }
})

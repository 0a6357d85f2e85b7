import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, get } from 'node:https'
import { join } from 'node:path'
import { connect, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { jobsOf } from '../helpers/admin-calls.ts'
import {
  certificateFiles,
  EXPIRED,
  makeAuthority,
  makeCertificate,
} from '../helpers/certificates.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Known to this process, which is the client, and to no node. */
const AUTHORITY = makeAuthority()
const MIB = 1024 ** 2

beforeAll(() => {
  setDefaultCACertificates([...getCACertificates('default'), AUTHORITY.cert])
})

/** A hub and an edge that speak TLS, not started, each with a certificate that the client accepts. */
async function prepare() {
  const mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [], scheme: 'https' })
  const secure = async (name: string) => {
    const files = certificateFiles(mesh.directory, name)
    await files.write(makeCertificate({ authority: AUTHORITY }))
    return files
  }
  return { mesh, hq: await secure('hq'), lon: await secure('lon') }
}

const isAt = (node: NodeProcess, tag: string, digest: string) => async () =>
  (await digestAt(node.url, 'demo/app', tag)) === digest

/** On a connection of its own. */
function getOnce(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = get(url, { agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asking.once('error', reject)
  })
}

/** Fingerprints of the certificates that new connections are shown: of 24 some reach each thread. */
async function presented(url: string): Promise<ReadonlySet<string>> {
  const { hostname, port } = new URL(url)
  const one = async () => {
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  return new Set(await Promise.all(Array.from({ length: 24 }, one)))
}

const taken = (node: NodeProcess) => node.log().split('"new certificate taken"').length - 1

test('nodes trust the key that the other announced, whatever its certificate says', async () => {
  const { mesh, hq, lon } = await prepare()
  await using _ = mesh
  const [hub, edge] = [mesh.node('hq'), mesh.node('lon')]
  await hub.start({ flags: hq.flags })
  const image = makeImage('secret')
  await pushImage(hub.url, 'demo/app', 'v1', image)
  // Signed by itself, for somebody else, ended a year ago.
  await hq.write(makeCertificate({ ...EXPIRED, names: ['example.org'] }))
  await eventually(() => taken(hub) === 1)
  expect(hub.log()).toContain('the certificate has expired')
  await expect(getOnce(`${hub.url}/v2/`)).rejects.toThrow('certificate has expired')
  await edge.start({ flags: lon.flags })
  await eventually(isAt(edge, 'v1', image.digest))
  await comparePull(edge.url, 'demo/app', 'v1', image)
})

test('certificates that change under load cost no request and no transfer', async () => {
  const { mesh, hq, lon } = await prepare()
  await using _ = mesh
  const [hub, edge] = [mesh.node('hq'), mesh.node('lon')]
  // Too short for a client to use a connection twice: every request shakes hands.
  const flags = [...hq.flags, '--limit', 'idle-timeout=1000']
  await Promise.all([hub.start({ flags }), edge.start({ flags: lon.flags })])
  const large = makeImage('large', { layers: 1, layerBytes: 64 * MIB })
  await pushImage(hub.url, 'demo/app', 'large', large)

  let isOver = false
  /** Read in small steps: one response is under way all the time. */
  const reading = (async () => {
    const answer = await fetch(`${hub.url}/v2/demo/app/blobs/${large.blobs[1]?.digest}`)
    const parts: Uint8Array[] = []
    for await (const part of answer.body ?? []) {
      parts.push(part)
      if (!isOver) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return Buffer.concat(parts)
  })()
  let asked = 0
  const asking = (async () => {
    for (; !isOver; asked += 1) {
      const answer = await fetch(`${hub.url}/v2/demo/app/manifests/large`)
      expect(answer.status).toBe(200)
      await answer.arrayBuffer()
    }
  })()
  const images = new Map<string, ReturnType<typeof makeImage>>()
  const pushing = (async () => {
    for (let at = 0; !isOver; at += 1) {
      const image = makeImage(`image ${at}`, { layers: 4, layerBytes: 2 * MIB })
      await pushImage(hub.url, 'demo/app', `v${at}`, image)
      await eventually(isAt(edge, `v${at}`, image.digest))
      images.set(`v${at}`, image)
    }
  })()
  const changing = (async () => {
    for (let times = 1; times <= 5; times += 1) {
      await hq.write(makeCertificate({ authority: AUTHORITY }))
      await lon.write(makeCertificate({ authority: AUTHORITY }))
      await eventually(() => taken(hub) >= times && taken(edge) >= times)
      const before = images.size
      await eventually(() => images.size >= before + 2)
    }
    isOver = true
  })()
  const [bytes] = await Promise.all([reading, asking, pushing, changing])
  expect(bytes.equals(large.blobs[1]?.bytes ?? Buffer.alloc(0))).toBe(true)
  expect(asked).toBeGreaterThan(10)
  for (const [tag, image] of images) await comparePull(edge.url, 'demo/app', tag, image)
  const jobs = await jobsOf(edge)
  expect(jobs.length).toBeGreaterThan(images.size)
  expect(jobs.filter(({ state, reason }) => state !== 'done' || reason !== undefined)).toEqual([])
})

test('whoever answers in the place of a node gets no token, and the job says why', async () => {
  const { mesh, hq, lon } = await prepare()
  await using _ = mesh
  const [hub, edge] = [mesh.node('hq'), mesh.node('lon')]
  const tokens: string[] = []
  await using impostor = createServer({ ...makeCertificate() }, (request, response) => {
    tokens.push(request.headers.authorization ?? '')
    response.end()
  })
  const address = new URL(hub.url)
  await new Promise<void>((resolve) => impostor.listen(Number(address.port), resolve))
  using real = await reservePort()
  await Promise.all([
    hub.start({ flags: [...hq.flags, '--listen', `127.0.0.1:${real.port}`] }),
    edge.start({ flags: lon.flags }),
  ])
  const image = makeImage('intercepted')
  await eventually(async () => (await fetch(`https://127.0.0.1:${real.port}/readyz`)).ok)
  await pushImage(`https://127.0.0.1:${real.port}`, 'demo/app', 'v1', image)
  const job = await eventually(async () =>
    (await jobsOf(edge)).find(({ reason }) => reason?.includes('not accepted')),
  )
  expect(job.reason).toMatch(/expected .* the key that node hq announced, sha256:.*; got .*sha256:/)
  expect(tokens.filter((token) => token !== '')).toEqual([])
  impostor.closeAllConnections()
})

test('the command line asks a node over TLS, and says what to name when it does not know its authority', async () => {
  const { mesh, hq } = await prepare()
  await using _ = mesh
  const hub = mesh.node('hq')
  await hq.write(makeCertificate())
  await hub.start({ flags: hq.flags })
  const status = (...flags: readonly string[]) =>
    spawnSync(process.execPath, [MAIN, 'status', '--url', hub.url, ...flags], { encoding: 'utf8' })
  const known = status('--tls-ca', hq.certFile)
  expect(known.stderr).toBe('')
  expect(known.stdout).toContain('ready')
  const unknown = status()
  expect(unknown.status).toBe(1)
  expect(unknown.stderr).toContain('--tls-ca FILE')
  const missing = status('--tls-ca', join(mesh.directory, 'none.pem'))
  expect(missing.stderr).toContain('--tls-ca: cannot read')
  const check = spawnSync(process.execPath, [MAIN, 'topology', 'check', mesh.topologyFile])
  expect(check.status).toBe(0)
})

test('a certificate and key that do not fit are said in one line, and nothing is served', async () => {
  const { mesh, hq } = await prepare()
  await using _ = mesh
  await hq.write({ ...makeCertificate(), key: makeCertificate().key })
  const { name, dataDirectory } = mesh.node('hq')
  const where = ['--topology', mesh.topologyFile, '--node', name, '--data', dataDirectory]
  const args = [MAIN, 'serve', ...where, ...hq.flags]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toMatch(/does not belong to the certificate in .*hq\.crt/)
  expect(stderr).not.toMatch(/\n\s+at /)
})

test('readers speak TLS too, and take a changed certificate', async () => {
  const { mesh, hq } = await prepare()
  await using _ = mesh
  const hub = mesh.node('hq')
  await hub.start({ flags: [...hq.flags, '--readers', '2'] })
  const image = makeImage('by readers', { layers: 1, layerBytes: 2 * MIB })
  await pushImage(hub.url, 'demo/app', 'v1', image)
  const blob = `${hub.url}/v2/demo/app/blobs/${image.blobs[1]?.digest}`
  const before = await presented(hub.url)
  expect(before.size).toBe(1)
  expect(await Promise.all(Array.from({ length: 24 }, () => getOnce(blob)))).toEqual(
    Array.from({ length: 24 }, () => 200),
  )
  await hq.write(makeCertificate({ authority: AUTHORITY }))
  await eventually(async () => taken(hub) === 1)
  // A moment later by the message that brings it to the threads.
  await eventually(async () => (await presented(hub.url)).isDisjointFrom(before))
  await comparePull(hub.url, 'demo/app', 'v1', image)
})

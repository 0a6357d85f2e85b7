import { X509Certificate } from 'node:crypto'
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { beforeAll, expect } from 'vitest'
import { fingerprintOf } from '../../src/lib/certificate.ts'
import {
  type CertificateFiles,
  certificateFiles,
  EXPIRED,
  makeAuthority,
  makeCertificate,
  type TestCertificate,
} from '../helpers/certificates.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeDockerImage } from '../helpers/images.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { arrival, startPair } from '../helpers/pair.ts'
import { comparePull, pushImage } from '../helpers/registry-calls.ts'
import { startDocker } from './docker-daemon.ts'
import { run, sayIt, temporaryDirectory, testWith } from './programs.ts'

const AUTHORITY = makeAuthority()

beforeAll(() => {
  setDefaultCACertificates([...getCACertificates('default'), AUTHORITY.cert])
})

/** A hub and an edge whose certificates a private authority signed, for loopback and `address`. */
async function startSecurePair(address = '127.0.0.1', flags: readonly string[] = []) {
  const mesh = await startPair({ start: [], scheme: 'https' })
  const names = ['127.0.0.1', address]
  const good = () => makeCertificate({ authority: AUTHORITY, names })
  const [hubFiles, edgeFiles] = ['hub', 'edge'].map((name) =>
    certificateFiles(mesh.directory, name),
  ) as [CertificateFiles, CertificateFiles]
  await Promise.all([hubFiles.write(good()), edgeFiles.write(good())])
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const start = (node: NodeProcess, files: CertificateFiles) => {
    const { port } = new URL(node.url)
    const more = flags.map((flag) => flag.replace('PORT', port))
    return node.start({ flags: [...files.flags, ...more] })
  }
  await Promise.all([start(hub, hubFiles), start(edge, edgeFiles)])
  let changes = 0
  /** Resolves when the hub serves it. */
  async function serve(certificate: ReturnType<typeof makeCertificate>): Promise<void> {
    changes += 1
    await hubFiles.write(certificate)
    await eventually(() => countOf(hub, 'new certificate taken') === changes)
  }
  return {
    hub,
    edge,
    names,
    good,
    serve,
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  }
}

function countOf(node: NodeProcess, text: string): number {
  return node.log().split(text).length - 1
}

/** Times that the node says that a client refused the certificate that it serves. */
function refusalsOf(node: NodeProcess, { cert }: TestCertificate): number {
  const fingerprint = fingerprintOf(new X509Certificate(cert))
  const lines = node
    .log()
    .split('\n')
    .filter((line) => line.includes(fingerprint))
  return lines.filter((line) => line.includes('a client refused the certificate')).length
}

/** What clients must not accept: an expired certificate, and one of another host; how they say it. */
const badOnes = (names: readonly string[]) => [
  {
    certificate: makeCertificate({ ...EXPIRED, names, authority: AUTHORITY }),
    why: 'certificate has expired',
  },
  { certificate: makeCertificate({ names: ['example.org'], authority: AUTHORITY }), why: 'x509' },
]

testWith(['skopeo'])(
  'skopeo with a private authority pushes and pulls, and refuses an expired and a foreign certificate, which the node logs',
  async () => {
    await using scratch = await temporaryDirectory()
    await writeFile(join(scratch.path, 'ca.crt'), AUTHORITY.cert)
    await using pair = await startSecurePair()
    const { hub, edge } = pair
    const image = makeDockerImage('secret')
    await pushImage(hub.url, 'demo/app', 'v1', image)
    const at = (node: NodeProcess, name: string) => `docker://${new URL(node.url).host}/${name}`
    const trust = ['--src-cert-dir', scratch.path, '--dest-cert-dir', scratch.path]
    const copy = (from: string, to: string) =>
      run('skopeo', ['--insecure-policy', 'copy', '--preserve-digests', ...trust, from, to])
    const pulled = `dir:${join(scratch.path, 'pulled')}`
    await copy(at(hub, 'demo/app:v1'), pulled)
    await copy(pulled, at(hub, 'demo/pushed:v1'))
    expect(await arrival(edge, 'demo/pushed', 'v1')).toBe(image.digest)
    await copy(at(edge, 'demo/pushed:v1'), `dir:${join(scratch.path, 'back')}`)
    await comparePull(edge.url, 'demo/pushed', 'v1', image)
    expect(hub.log()).not.toContain('a client refused')

    const again = () => copy(at(hub, 'demo/app:v1'), `dir:${join(scratch.path, 'again')}`)
    for (const { certificate, why } of badOnes(pair.names)) {
      await pair.serve(certificate)
      // Each asks several times; the log says it once, or once more where it could not tell who it was.
      for (let times = 0; times < 2; times += 1) await expect(again()).rejects.toThrow(why)
      await eventually(() => refusalsOf(hub, certificate) > 0)
      expect(refusalsOf(hub, certificate)).toBeLessThanOrEqual(2)
    }
    expect(hub.log()).toContain('for DNS:example.org, valid from')
    // The same node, without a restart.
    await pair.serve(pair.good())
    await again()
  },
)

/** Docker asks loopback without looking at certificates: another address of the machine shows what it does elsewhere. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

/** Where dockerd looks for the authority of a registry; gone at the end. */
async function letDockerTrust(host: string): Promise<AsyncDisposable> {
  const root = '/etc/docker/certs.d'
  const directory = join(root, host)
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'ca.crt'), AUTHORITY.cert)
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(directory, { recursive: true, force: true })
      // Others may have put theirs there.
      await rmdir(root).catch(() => {})
    },
  }
}

testWith(['docker', 'dockerd'], { root: true })(
  'docker with a private authority pushes and pulls, and refuses an expired and a foreign certificate, which the node logs',
  async ({ skip }) => {
    if (ADDRESS === undefined) {
      sayIt('skipped: the machine has no address but loopback')
      return skip()
    }
    await using engine = await startDocker()
    if (engine.unavailable !== undefined) return skip(engine.unavailable)
    await using scratch = await temporaryDirectory()
    await using pair = await startSecurePair(ADDRESS, ['--listen=0.0.0.0:PORT', '--anonymous=push'])
    const { hub, edge } = pair
    const hostOf = ({ url }: NodeProcess) => `${ADDRESS}:${new URL(url).port}`
    await writeFile(join(scratch.path, 'hello'), 'from docker\n')
    const tar = join(scratch.path, 'root.tar')
    await run('tar', ['-C', scratch.path, '-cf', tar, 'hello'])
    const pushed = `${hostOf(hub)}/demo/app:v1`
    await engine.docker('import', tar, pushed)
    await expect(engine.docker('push', pushed)).rejects.toThrow('unknown authority')
    await eventually(() => hub.log().includes('a client refused the certificate'))

    await using _hub = await letDockerTrust(hostOf(hub))
    await using _edge = await letDockerTrust(hostOf(edge))
    const output = await engine.docker('push', pushed)
    const digest = await arrival(edge, 'demo/app', 'v1')
    expect(output).toContain(`v1: digest: ${digest}`)
    const pulled = `${hostOf(edge)}/demo/app:v1`
    expect(await engine.docker('pull', pulled)).toContain(`Digest: ${digest}`)

    for (const { certificate, why } of badOnes(pair.names)) {
      await pair.serve(certificate)
      await expect(engine.docker('pull', pushed)).rejects.toThrow(why)
      await eventually(() => refusalsOf(hub, certificate) > 0)
    }
    await pair.serve(pair.good())
    await engine.docker('pull', pushed)
  },
)

import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../../src/lib/certificate.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.ts'
import { listenHttp } from '../../../src/node/http-server.ts'
import { openTlsFiles } from '../../../src/node/tls-files.ts'
import { certificateFiles, makeCertificate } from '../../helpers/certificates.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

async function setUp() {
  await using building = new AsyncDisposableStack()
  const directory = building.use(await makeTemporaryDirectory())
  const files = certificateFiles(directory.path, 'node')
  await files.write(makeCertificate())
  const { logger, lines } = createLogKeeper()
  const tls = building.use(
    await openTlsFiles(
      { cert: files.certFile, key: files.keyFile },
      { clock: systemClock, logger },
    ),
  )
  const app = new Hono()
  app.get('/', (context) => context.text('hello'))
  const http = await listenHttp(
    { app, clock: systemClock, logger, tls },
    { host: '127.0.0.1', port: 0, bounds: DEFAULT_BOUNDS },
  )
  building.defer(() => http.close())
  const parts = building.move()
  return {
    files,
    lines,
    tls,
    port: http.port,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

async function shakeHands(port: number, options: object = {}): Promise<TLSSocket> {
  const settings = { port, host: '127.0.0.1', rejectUnauthorized: false, ...options }
  const socket = connect(settings)
  await once(socket, 'secureConnect')
  return socket
}

async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  return bytes.toString()
}

const keyOf = (socket: TLSSocket) => {
  const certificate = socket.getPeerX509Certificate()
  return certificate === undefined ? undefined : fingerprintOf(certificate)
}

describe('node / TLS server', () => {
  test('it speaks HTTP/1.1 over TLS 1.3 and 1.2, and nothing older', async () => {
    await using rig = await setUp()
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      const socket = await shakeHands(rig.port, {
        maxVersion: version,
        ALPNProtocols: ['h2', 'http/1.1'],
      })
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1'])
      expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200/)
      socket.destroy()
    }
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }
    await expect(shakeHands(rig.port, old)).rejects.toThrow()
  })

  test('a changed certificate is what the next connection sees; the open one goes on', async () => {
    await using rig = await setUp()
    const open = await shakeHands(rig.port)
    const before = keyOf(open)
    expect(before).toBe(rig.tls.pair().fingerprint)
    await rig.files.write(makeCertificate())
    await eventually(() => rig.tls.pair().fingerprint !== before)
    expect(await ask(open)).toMatch(/^HTTP\/1\.1 200/)
    const next = await shakeHands(rig.port)
    expect(keyOf(next)).toBe(rig.tls.pair().fingerprint)
    for (const socket of [open, next]) socket.destroy()
  })

  test('a client that speaks plain HTTP is logged with what to do', async () => {
    await using rig = await setUp()
    const socket = connectPlain(rig.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
    await eventually(() => rig.lines.some(({ message }) => message.includes('give it https://')))
  })
})

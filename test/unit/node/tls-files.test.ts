import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { openTlsFiles } from '../../../src/node/tls-files.ts'
import {
  certificateFiles,
  EXPIRED,
  makeAuthority,
  makeCertificate,
} from '../../helpers/certificates.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

const DAY_MS = 24 * 3_600_000

async function setUp() {
  const directory = await makeTemporaryDirectory()
  const files = certificateFiles(directory.path, 'node')
  const clock = createFakeClock(Date.now())
  const { logger, lines } = createLogKeeper()
  const open = () => openTlsFiles({ cert: files.certFile, key: files.keyFile }, { clock, logger })
  /** Lets looks pass until the log has `count` lines. */
  const lookUntil = (count: number) =>
    eventually(async () => {
      await clock.advance(1_000)
      return lines.length >= count
    })
  return {
    files,
    clock,
    lines,
    open,
    lookUntil,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

describe('node / TLS files', () => {
  test('a pair that fits is taken, with its chain, and nothing is said', async () => {
    await using rig = await setUp()
    const authority = makeAuthority()
    const { cert, key } = makeCertificate({ authority })
    await rig.files.write({ cert: `${cert}${authority.cert}`, key })
    using tls = await rig.open()
    expect(tls.pair().certificate.subjectAltName).toContain('DNS:localhost')
    expect(tls.pair().fingerprint).toMatch(/^[0-9a-f]{64}$/)
    expect(rig.lines).toEqual([])
  })

  test.each([
    [
      'no certificate',
      { cert: 'nothing' },
      /--tls-cert: expected a certificate in PEM in .*node\.crt/,
    ],
    ['no key', { key: 'nothing' }, /--tls-key: expected a private key in PEM .* in .*node\.key/],
    ['the key of another', { key: makeCertificate().key }, /does not belong to the certificate/],
    [
      'a chain that breaks off',
      { cert: `${makeCertificate().cert}-----BEGIN CERTIFICATE-----\nAAAA` },
      /certificate/,
    ],
    [
      'the authority first',
      { cert: `${makeAuthority().cert}${makeCertificate().cert}` },
      /certificate first in its file/,
    ],
  ])('%s is refused, with what was expected', async (_, wrong, message) => {
    await using rig = await setUp()
    await rig.files.write({ ...makeCertificate(), ...wrong })
    await expect(rig.open()).rejects.toMatchObject({ code: 'TLS_INVALID' })
    await expect(rig.open()).rejects.toThrow(message)
  })

  test('a file that is not there is named', async () => {
    await using rig = await setUp()
    await rig.files.write(makeCertificate())
    await rm(rig.files.keyFile)
    await expect(rig.open()).rejects.toThrow(/--tls-key: cannot read .*node\.key: ENOENT/)
  })

  test.each([
    ['has expired', EXPIRED, 'expired'],
    ['ends within two weeks', { until: new Date(Date.now() + 13 * DAY_MS) }, 'ends soon'],
    ['begins in two days', { from: new Date(Date.now() + 2 * DAY_MS) }, 'not valid yet'],
  ])(
    'a certificate that %s is served, and its operator hears of it every day',
    async (_, dates, word) => {
      await using rig = await setUp()
      await rig.files.write(makeCertificate(dates))
      using tls = await rig.open()
      expect(tls.pair().certificate).toBeDefined()
      expect(rig.lines).toEqual([
        expect.objectContaining({ level: 'warn', message: expect.stringContaining(word) }),
      ])
      await rig.clock.advance(DAY_MS)
      expect(rig.lines).toHaveLength(2)
    },
  )

  test('a changed pair is taken and told on', async () => {
    await using rig = await setUp()
    await rig.files.write(makeCertificate())
    using tls = await rig.open()
    const before = tls.pair().fingerprint
    const told: string[] = []
    tls.onChange(({ fingerprint }) => void told.push(fingerprint))
    await rig.files.write(makeCertificate())
    await rig.lookUntil(1)
    expect(tls.pair().fingerprint).not.toBe(before)
    expect(told).toEqual([tls.pair().fingerprint])
    expect(rig.lines.at(-1)).toMatchObject({ level: 'info', message: 'new certificate taken' })
  })

  test('a half-written file leaves the former pair, says so once, and is taken when it is whole', async () => {
    await using rig = await setUp()
    await rig.files.write(makeCertificate())
    using tls = await rig.open()
    const before = tls.pair().fingerprint
    const next = makeCertificate()
    await writeFile(rig.files.certFile, next.cert.slice(0, 200))
    await rig.lookUntil(1)
    await rig.clock.advance(10_000)
    expect(tls.pair().fingerprint).toBe(before)
    expect(rig.lines).toEqual([
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('not taken') }),
    ])
    // The certificate is whole, its key is still the former one's.
    await writeFile(rig.files.certFile, next.cert)
    await rig.lookUntil(2)
    expect(tls.pair().fingerprint).toBe(before)
    await writeFile(rig.files.keyFile, next.key)
    await rig.lookUntil(3)
    expect(tls.pair().fingerprint).not.toBe(before)
  })

  test('a file that goes away leaves the former pair', async () => {
    await using rig = await setUp()
    await rig.files.write(makeCertificate())
    using tls = await rig.open()
    await rm(rig.files.certFile)
    await rig.lookUntil(1)
    expect(tls.pair().certificate).toBeDefined()
    expect(rig.lines[0]?.fields).toMatchObject({ reason: expect.stringContaining('ENOENT') })
  })
})

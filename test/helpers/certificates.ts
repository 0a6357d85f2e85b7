/** Certificates for tests (RFC 5280, P-256): authorities, certificates that they sign, self-signed ones; of any time and name. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { join } from 'node:path'

/** PEM, both. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  /** Host names and IPv4 addresses. Default: loopback. */
  readonly names?: readonly string[]
  readonly from?: Date
  readonly until?: Date
  /** Who signs; itself by default. */
  readonly authority?: TestCertificate
  /** Another certificate's, for one that is renewed with the same key. */
  readonly key?: string
  readonly isAuthority?: boolean
}

const HOUR_MS = 3_600_000
const LOOPBACK = ['localhost', '127.0.0.1']

export function makeCertificate(options: CertificateOptions = {}): TestCertificate {
  const { names = LOOPBACK, authority, isAuthority = false } = options
  const from = options.from ?? new Date(Date.now() - HOUR_MS)
  const until = options.until ?? new Date(Date.now() + 365 * 24 * HOUR_MS)
  const key =
    options.key === undefined
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      : createPrivateKey(options.key)
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const spki = createPublicKey(pem).export({ type: 'spki', format: 'der' })
  const subject = nameOf(names[0] ?? 'nobody')
  const issuer = authority === undefined ? subject : subjectOf(authority)
  const body = der(
    0x30,
    der(0xa0, integer(2)),
    der(0x02, Buffer.from([0x40]), randomBytes(15)),
    ECDSA_WITH_SHA256,
    issuer,
    der(0x30, time(from), time(until)),
    subject,
    spki,
    der(0xa3, der(0x30, ...extensions(names, isAuthority))),
  )
  const signature = sign('sha256', body, authority?.key ?? pem)
  const bytes = der(0x30, body, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature))
  const base64 = bytes.toString('base64').replaceAll(/.{1,64}/g, '$&\n')
  return { cert: `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`, key: pem }
}

export function makeAuthority(name = 'an authority'): TestCertificate {
  return makeCertificate({ names: [name], isAuthority: true })
}

/** Ended a year ago. */
export const EXPIRED = {
  from: new Date(Date.now() - 2 * 365 * 24 * HOUR_MS),
  until: new Date(Date.now() - 365 * 24 * HOUR_MS),
} as const

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** For `entrepot serve`. */
  readonly flags: readonly string[]
  write(certificate: TestCertificate): Promise<void>
}

/** `<name>.crt` and `<name>.key` of a directory. */
export function certificateFiles(directory: string, name: string): CertificateFiles {
  const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  return {
    certFile,
    keyFile,
    flags: ['--tls-cert', certFile, '--tls-key', keyFile],
    write: async ({ cert, key }) => {
      await writeFile(certFile, cert)
      await writeFile(keyFile, key)
    },
  }
}

function extensions(names: readonly string[], isAuthority: boolean): readonly Buffer[] {
  const critical = der(0x01, Buffer.from([0xff]))
  const constraints = der(0x30, ...(isAuthority ? [critical] : []))
  const all = [der(0x30, oid('551d13'), critical, der(0x04, constraints))]
  if (isAuthority) {
    // keyCertSign; and no names: this one proves no host.
    return [...all, der(0x30, oid('551d0f'), critical, der(0x04, Buffer.from('03020204', 'hex')))]
  }
  const alternatives = names.map((name) =>
    isIPv4(name)
      ? der(0x87, Buffer.from(name.split('.').map(Number)))
      : der(0x82, Buffer.from(name)),
  )
  return [...all, der(0x30, oid('551d11'), der(0x04, der(0x30, ...alternatives)))]
}

/** Tag, length, contents: DER. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  const { length } = body
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body])
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]))
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

const ECDSA_WITH_SHA256 = der(0x30, oid('2a8648ce3d040302'))

/** A name of one part, commonName. */
function nameOf(text: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(text)))))
}

/** GeneralizedTime is for years from 2050 on (RFC 5280 section 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits))
}

function subjectOf({ cert }: TestCertificate): Buffer {
  const text = /CN=(.*)/.exec(new X509Certificate(cert).subject)?.[1]
  if (text === undefined) throw new Error('expected a certificate of this file: with a CN')
  return nameOf(text)
}

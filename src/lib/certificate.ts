/** Certificates: the fingerprint of a key, a line for operators, and the authorities to believe. */
import { createHash, X509Certificate } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { EntrepotError, messageOf } from './errors.ts'
import type { FileContent } from './watched-files.ts'

/** Oldest version spoken, on either side: RFC 8996 retires what came before. */
export const MIN_TLS_VERSION = 'TLSv1.2'

/** Characters of names shown: a certificate may carry hundreds. */
const MAX_NAMES = 200

/**
 * SHA-256 of the public key (SubjectPublicKeyInfo, DER), 64 hex digits: the same after a renewal with the same key. As
 * `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum` prints it.
 */
export function fingerprintOf({ publicKey }: X509Certificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

/** Whom it is for, until when, with which key: one line, safe to print also when it came from the network. */
export function describeCertificate(certificate: X509Certificate): string {
  const { subjectAltName, subject, validFromDate, validToDate } = certificate
  const names = (subjectAltName ?? subject ?? 'nobody').replaceAll(/[^ -~]+/g, ' ')
  const dates = `${dayOf(validFromDate)} to ${dayOf(validToDate)}`
  return `for ${names.slice(0, MAX_NAMES)}, valid from ${dates}, key sha256:${fingerprintOf(certificate)}`
}

/** A certificate may carry a year that no calendar has. */
function dayOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'a date that cannot be read' : date.toISOString()
}

/** The certificates of a file of authorities, PEM. @throws TLS_INVALID when there is none, or one that cannot be read. */
export function authoritiesIn(file: FileContent): readonly string[] {
  const { path } = file
  if (file.bytes === undefined)
    throw invalid(`cannot read ${path}: ${file.error}; correct the path`)
  const found = file.bytes.toString('latin1').match(ONE_CERTIFICATE) ?? []
  if (found.length === 0) {
    throw invalid(
      `expected certificates in PEM (-----BEGIN CERTIFICATE-----) in ${path}, found none`,
    )
  }
  try {
    for (const pem of found) void new X509Certificate(pem)
  } catch (cause) {
    throw invalid(`${path} holds a certificate that cannot be read: ${messageOf(cause)}`, cause)
  }
  return found
}

const ONE_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function invalid(message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('TLS_INVALID', `--tls-ca: ${message}`, { cause })
}

/** Believes the authorities of Node.js and of the system, and `extra` ones beside them. Takes some 100 ms. */
export function trusting(extra: readonly string[]): SecureContext {
  const known = [...getCACertificates('default'), ...getCACertificates('system')]
  return createSecureContext({
    ca: [...new Set([...known, ...extra])],
    minVersion: MIN_TLS_VERSION,
  })
}

/** The certificate and key that a node serves: checked together, and taken again when their files change. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { describeCertificate, fingerprintOf } from '../lib/certificate.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { type FileContent, readFiles, watchFiles } from '../lib/watched-files.ts'

export interface TlsPaths {
  /** PEM: the certificate of the node, then those between it and its authority. */
  readonly cert: string
  /** PEM, without a passphrase. */
  readonly key: string
}

/** A certificate with its key; they fit. */
export interface TlsPair {
  readonly cert: Buffer
  readonly key: Buffer
  readonly certificate: X509Certificate
  readonly fingerprint: string
}

export interface TlsFiles extends Disposable {
  /** What is served now. */
  pair(): TlsPair
  /** Called with each pair that replaces another. */
  onChange(listener: (pair: TlsPair) => void): void
}

export interface TlsFilesDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** So long before a certificate ends its operator hears of it, milliseconds: renewals are due by then. */
const WARN_BEFORE_END_MS = 14 * 24 * 3_600_000
/** Between two such warnings, milliseconds. */
const WARN_EVERY_MS = 24 * 3_600_000

/** @throws TLS_INVALID when the files are no certificate and key that fit; later changes are logged and not taken instead. */
export async function openTlsFiles(
  { cert, key }: TlsPaths,
  { clock, logger }: TlsFilesDeps,
): Promise<TlsFiles> {
  const files = await readFiles([cert, key])
  let current = pairOf(files)
  const listeners: ((pair: TlsPair) => void)[] = []
  const stop = new AbortController()
  const { signal } = stop

  void watchFiles(files, { clock, signal }, (changed) => {
    try {
      const pair = pairOf(changed)
      // Written anew with the same bytes, or back from a half-written state.
      if (pair.cert.equals(current.cert) && pair.key.equals(current.key)) return
      current = pair
    } catch (err) {
      logger.warn(
        { reason: messageOf(err), served: describeCertificate(current.certificate) },
        'changed certificate not taken: the former one is served on',
      )
      return
    }
    logger.info({ certificate: describeCertificate(current.certificate) }, 'new certificate taken')
    warnOfEnd(current, clock, logger)
    for (const listener of listeners) listener(current)
  })
  void (async () => {
    while (!signal.aborted) {
      warnOfEnd(current, clock, logger)
      await clock.sleep(WARN_EVERY_MS, { signal }).catch(() => {})
    }
  })()

  return {
    pair: () => current,
    onChange: (listener) => void listeners.push(listener),
    [Symbol.dispose]: () => stop.abort(),
  }
}

function pairOf([certFile, keyFile]: readonly FileContent[]): TlsPair {
  const cert = bytesOf('--tls-cert', certFile)
  const key = bytesOf('--tls-key', keyFile)
  const certificate = parse('--tls-cert', certFile, 'a certificate in PEM', () => {
    return new X509Certificate(cert)
  })
  const privateKey = parse('--tls-key', keyFile, 'a private key in PEM without a passphrase', () =>
    createPrivateKey(key),
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalid(
      `the key in ${keyFile?.path} does not belong to the certificate in ${certFile?.path} (${describeCertificate(certificate)}); give the pair that was made together, the node's own certificate first in its file`,
    )
  }
  // What the server will do with them: it reads the whole chain, and refuses keys that are too weak.
  parse('--tls-cert', certFile, 'a certificate chain that can be served', () =>
    createSecureContext({ cert, key }),
  )
  return { cert, key, certificate, fingerprint: fingerprintOf(certificate) }
}

function bytesOf(flag: string, file: FileContent | undefined): Buffer {
  if (file?.bytes !== undefined) return file.bytes
  throw invalid(`${flag}: cannot read ${file?.path}: ${file?.error}; name a file that is there`)
}

function parse<T>(flag: string, file: FileContent | undefined, expected: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw invalid(`${flag}: expected ${expected} in ${file?.path}: ${messageOf(cause)}`, cause)
  }
}

function warnOfEnd({ certificate }: TlsPair, clock: Clock, logger: Logger): void {
  const { validFromDate, validToDate } = certificate
  const facts = { certificate: describeCertificate(certificate) }
  const leftMs = validToDate.getTime() - clock.now()
  if (leftMs <= 0) logger.warn(facts, 'the certificate has expired: clients refuse it, renew it')
  else if (validFromDate.getTime() > clock.now())
    logger.warn(
      facts,
      'the certificate is not valid yet: clients refuse it, check it and the clock',
    )
  else if (leftMs < WARN_BEFORE_END_MS) logger.warn(facts, 'the certificate ends soon: renew it')
}

function invalid(message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('TLS_INVALID', message, { cause })
}

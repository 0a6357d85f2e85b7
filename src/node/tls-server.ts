/** The TLS side of the HTTP server: changed certificates without a restart, and word of clients that do not accept them. */
import type { Server, ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { describeCertificate, MIN_TLS_VERSION } from '../lib/certificate.ts'
import { codeOf, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { TlsFiles, TlsPair } from './tls-files.ts'

/** A handshake is two round trips; longer is a sender that holds a socket, milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 20_000
/** Failed handshakes remembered so as not to be logged again. */
const MAX_REMEMBERED = 1_000

/** What a client says of the certificate when it ends the handshake (RFC 8446 section 6.2); Go says the first of everything. */
const ALERTS: Readonly<Record<string, string>> = {
  BAD_CERTIFICATE: 'a client refused the certificate: for its names, its dates or its authority',
  CERTIFICATE_EXPIRED: 'a client refused the certificate: it has expired',
  CERTIFICATE_UNKNOWN: 'a client refused the certificate: for a reason that it does not say',
  UNKNOWN_CA: 'a client refused the certificate: it does not know its authority',
}

export function tlsOptions(pair: TlsPair): ServerOptions {
  return {
    ...contextOf(pair),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  }
}

export function followTls(server: Server, tls: TlsFiles, logger: Logger): void {
  const complaints = createSeenSet({ limit: MAX_REMEMBERED })
  tls.onChange((pair) => server.setSecureContext(contextOf(pair)))
  server.on('tlsClientError', (err: Error, socket: TLSSocket) => {
    // Undefined where the client has gone by now.
    const client = socket.remoteAddress
    const message = meaningOf(codeOf(err) ?? '')
    if (message === undefined) {
      logger.debug({ client, reason: messageOf(err) }, 'TLS handshake failed')
      return
    }
    const { certificate, fingerprint } = tls.pair()
    const isFirst = complaints.add(`${message} ${fingerprint}`)
    const isNews =
      client === undefined ? isFirst : complaints.add(`${client} ${message} ${fingerprint}`)
    if (!isNews) return
    logger.warn({ client, certificate: describeCertificate(certificate) }, message)
  })
}

/** Of failures that concern an operator; others are scanners and lost connections. */
function meaningOf(code: string): string | undefined {
  if (code === 'ERR_SSL_HTTP_REQUEST') {
    return 'a client speaks plain HTTP to the TLS port: give it https://'
  }
  // Before the alert stands the version of TLS that brought it, which releases of OpenSSL write differently.
  return ALERTS[/_ALERT_([A-Z_]+)$/.exec(code)?.[1] ?? '']
}

function contextOf({ cert, key }: TlsPair) {
  return { cert, key, minVersion: MIN_TLS_VERSION } as const
}

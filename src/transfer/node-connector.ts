/** Connects to a node's registry; over TLS the connection is used only when the certificate proves that it is that node. */
import type { X509Certificate } from 'node:crypto'
import type { SecureContext, TLSSocket } from 'node:tls'
import { callbackify } from 'node:util'
import { buildConnector } from 'undici'
import { describeCertificate, fingerprintOf } from '../lib/certificate.ts'
import { codeOf, EntrepotError } from '../lib/errors.ts'
import type { NodeName } from '../topology/topology.ts'

export interface NodeConnectorDeps {
  readonly node: NodeName
  /** Of the keys that the node announced over the mesh; undefined when it announced none. */
  readonly fingerprints: () => readonly string[] | undefined
  /** Asks the node what it serves now; `fingerprints` knows afterwards. */
  readonly greetAgain: () => Promise<void>
  /** Believed authorities; those of Node.js where it gives none. */
  readonly trust: () => SecureContext | undefined
}

type Target = buildConnector.Options

/** The key may be changed while it is looked at; twice in a row it is not. */
const TRIES = 2

/**
 * Accepts a certificate whose key the node announced, whatever its issuer, names and dates: the mesh connection vouches for
 * it. Any other must be valid for the host name. Nothing is sent before.
 */
export function createNodeConnector(
  deps: NodeConnectorDeps,
  { timeoutMs }: { readonly timeoutMs: number },
): buildConnector.connector {
  const { node, fingerprints, greetAgain, trust } = deps
  const plain = buildConnector({ timeout: timeoutMs })

  function handshake(target: Target): Promise<TLSSocket> {
    const secureContext = trust()
    const connect = buildConnector({
      timeout: timeoutMs,
      ...(secureContext === undefined ? {} : { secureContext }),
      // Judged below: a self-signed certificate is as good as any where its key was announced.
      rejectUnauthorized: false,
      // A resumed session would carry the judgement over an earlier certificate.
      maxCachedSessions: 0,
      allowH2: false,
    })
    return new Promise((resolve, reject) => {
      connect(target, (err, socket) => {
        if (err !== null) reject(codeOf(err) === NOT_TLS ? notTls(target, err) : err)
        else resolve(socket as TLSSocket)
      })
    })
  }

  async function connectTls(target: Target): Promise<TLSSocket> {
    for (let tries = 1; ; tries += 1) {
      const socket = await handshake(target)
      // Read now: a socket that was closed meanwhile has none.
      const certificate = socket.getPeerX509Certificate()
      const key = certificate === undefined ? '' : fingerprintOf(certificate)
      const isAccepted = () => socket.authorized || fingerprints()?.includes(key) === true
      if (isAccepted()) return socket
      // Its key may be newer than what it last announced.
      await greetAgain().catch(() => {})
      if (isAccepted() && !socket.destroyed) return socket
      socket.destroy()
      if (tries === TRIES) throw notAccepted(target, certificate, String(socket.authorizationError))
    }
  }

  function notAccepted(
    { host }: Target,
    certificate: X509Certificate | undefined,
    why: string,
  ): EntrepotError {
    const got = certificate === undefined ? 'none' : `one ${describeCertificate(certificate)}`
    const announced = fingerprints()?.map((one) => `sha256:${one}`)
    const expected = `expected one that is valid for that host${announced === undefined ? '' : `, or the key that node ${node} announced, ${announced.join(' or ')}`}`
    const act =
      announced === undefined
        ? `Give its authority with --tls-ca; node ${node} announced no key of its own, which it does with --tls-cert`
        : `Another server answers at the endpoint of ${node}: correct the endpoint, or give the authority of a proxy there with --tls-ca`
    const message = `certificate at ${host} not accepted (${why}): ${expected}; got ${got}. ${act}`
    return new EntrepotError('CERTIFICATE_REFUSED', message)
  }

  const secure = callbackify(connectTls)
  return (target, callback) => {
    if (target.protocol !== 'https:') {
      plain(target, callback)
      return
    }
    secure(target, (err, socket) => {
      if (err === null) callback(null, socket)
      else callback(err, null)
    })
  }
}

const NOT_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

function notTls({ host }: Target, cause: Error): EntrepotError {
  const message = `expected TLS at ${host}, got something else: does the node run with --tls-cert, and is the endpoint right?`
  return new EntrepotError('NOT_TLS', message, { cause })
}

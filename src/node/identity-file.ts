/** The identity on disk: a PEM file that only its owner may read. Losing it means a new peer id in the topology. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../lib/durable-file.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import { generateIdentity, type Identity, identityFromPem } from '../record/identity.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

/** Below the data directory. */
const IN_DATA = join('/', 'entrepot', 'identity.key')

export function identityPath(dataDirectory: string): string {
  return join(dataDirectory, IN_DATA)
}

/** @throws IDENTITY_MISSING, IDENTITY_INVALID, IDENTITY_EXPOSED */
export async function loadIdentity(path: string): Promise<Identity> {
  const pem = await readPem(path)
  if (pem === undefined) {
    const how = path.endsWith(IN_DATA)
      ? `--data ${path.slice(0, -IN_DATA.length)}`
      : `--identity ${path}`
    const message = `there is no key in ${path}; make one with: entrepot identity new ${how}`
    throw new EntrepotError('IDENTITY_MISSING', message)
  }
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0) {
    const message = `others may read the key in ${path} (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${path}`
    throw new EntrepotError('IDENTITY_EXPOSED', message)
  }
  try {
    return identityFromPem(pem)
  } catch (cause) {
    const message = `${path} is not an Ed25519 private key in PEM: ${messageOf(cause)}`
    throw new EntrepotError('IDENTITY_INVALID', message, { cause })
  }
}

/** @throws as `loadIdentity`, IDENTITY_FOREIGN when the topology says that the node has another key. */
export async function loadOwnIdentity(
  path: string,
  topology: Topology,
  node: NodeName,
): Promise<Identity> {
  const identity = await loadIdentity(path)
  const expected = topology.nodes.get(node)?.peerId
  if (expected === identity.peerId) return identity
  const message =
    expected === undefined
      ? `the topology gives node ${node} no peerId; write there: peerId: ${identity.peerId}`
      : `node ${node} has peerId ${expected} in the topology, the key in ${path} is ${identity.peerId}; correct peerId, or give the node its key with --identity`
  throw new EntrepotError('IDENTITY_FOREIGN', message)
}

/** The identity of the file; makes one where there is none, and changes nothing where there is. */
export async function loadOrCreateIdentity(path: string): Promise<Identity> {
  if ((await readPem(path)) !== undefined) return loadIdentity(path)
  const identity = generateIdentity()
  await writeDurably(path, identity.toPem(), { mode: 0o600 })
  return identity
}

async function readPem(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err
  }
}

/** Requests that say of which registry they are: of another one than this mesh nothing is here. */
import { OciError } from '../oci/errors.ts'
import type { RegistryDeps, RegistryRequest } from './request.ts'

/**
 * Clients that use a node as a mirror say of which registry (`?ns=`). Of another one than this mesh nothing is here: a
 * repository of the same name would be other content.
 */
export function refuseOtherRegistry(
  { isOwnName }: RegistryDeps,
  { query, header }: Pick<RegistryRequest, 'query' | 'header'>,
): void {
  const ns = query.get('ns')?.toLowerCase()
  if (ns === undefined || ns === header('host')?.toLowerCase() || isOwnName(ns)) return
  const message = `expected ?ns= to name this mesh, got "${ns.slice(0, 100)}": content of other registries is not served here; if it is a name of this mesh, start the node with --names`
  throw new OciError('NAME_UNKNOWN', { message })
}

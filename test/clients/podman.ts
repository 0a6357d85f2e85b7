/** podman for a test. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './programs.ts'

/** podman with storage and settings of its own, so that nothing of the machine's is read or changed. */
export async function createPodman(directory: string) {
  const policy = join(directory, 'policy.json')
  await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const registries = join(directory, 'registries.conf')
  await writeFile(registries, 'unqualified-search-registries = []\n')
  const accounts = join(directory, 'auth.json')
  await writeFile(accounts, '{}')
  const storage = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')]
  const rest = [
    '--tmpdir',
    join(directory, 'tmp'),
    '--storage-driver',
    'vfs',
    '--events-backend',
    'none',
  ]
  const env = {
    CONTAINERS_REGISTRIES_CONF: registries,
    REGISTRY_AUTH_FILE: accounts,
  }
  return async (...args: readonly string[]) => {
    const isTransfer = args[0] === 'pull' || args[0] === 'push'
    const trust = isTransfer ? ['--tls-verify=false', '--signature-policy', policy] : []
    const [command = '', ...more] = args
    return run('podman', [...storage, ...rest, command, ...trust, ...more], { env })
  }
}

/** Debian's docker-registry (distribution 2.8) over a data directory. */
import { writeFile } from 'node:fs/promises'
import { eventually } from '../helpers/eventually.ts'
import { type Daemon, run, startDaemon } from './programs.ts'

export interface DockerRegistry extends AsyncDisposable {
  readonly url: string
}

/** Serves the directory, whoever filled it. */
export async function serveWithDocker(
  dataDirectory: string,
  configFile: string,
  port: number,
): Promise<DockerRegistry> {
  const config = {
    version: '0.1',
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: dataDirectory }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  }
  // YAML is a superset of JSON.
  await writeFile(configFile, JSON.stringify(config))
  const daemon: Daemon = startDaemon('docker-registry', ['serve', configFile])
  const url = `http://127.0.0.1:${port}`
  await eventually(async () => {
    if (!daemon.isRunning()) throw new Error(`docker-registry ended: ${daemon.log()}`)
    return (await fetch(`${url}/v2/`)).ok
  })
  return { url, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() }
}

/** What its collector would delete of the directory in the configuration, and how many blobs it found in use. */
export async function collectorFinds(configFile: string) {
  const { stdout, stderr } = await run('docker-registry', [
    'garbage-collect',
    '--dry-run',
    configFile,
  ])
  return {
    errors: /level=(error|fatal)|failed/.exec(stderr)?.[0],
    eligible: / (\d+ blobs and \d+ manifests) eligible for deletion/.exec(stdout)?.[1],
    marked: Number(/(\d+) blobs marked/.exec(stdout)?.[1]),
  }
}

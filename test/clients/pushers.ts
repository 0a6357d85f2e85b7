/** Clients that push an image of their own, each the way it does. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDockerImage, type TestManifest } from '../helpers/images.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { SNAPSHOTS, startContainerd } from './containerd.ts'
import { startDocker } from './docker-daemon.ts'
import { createPodman } from './podman.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

export interface PushOptions {
  /** `host:port/repository:tag` */
  readonly target: string
  /** A registry from which it may get its image, where the client makes none. */
  readonly from: string
  /** `name:password` */
  readonly credentials?: string
}

export interface Pusher extends AsyncDisposable {
  /** Why the client does not run here. */
  readonly unavailable?: string | undefined
  /** @returns the digest of what it pushed, as the client knows it. @throws with what the client printed */
  push(): Promise<string>
}

export interface PushingClient {
  readonly name: string
  readonly test: ReturnType<typeof testWith>
  prepare(options: PushOptions): Promise<Pusher>
}

/** The `dir:` form of skopeo. */
async function writeDir(directory: string, image: TestManifest): Promise<void> {
  await mkdir(directory)
  await writeFile(join(directory, 'version'), 'Directory Transport Version: 1.1\n')
  await writeFile(join(directory, 'manifest.json'), image.bytes)
  for (const { digest, bytes } of image.blobs)
    await writeFile(join(directory, digest.slice('sha256:'.length)), bytes)
}

/** What a client needs is disposed of in reverse order; its files are in `scratch`. */
function client(
  name: string,
  testHere: PushingClient['test'],
  make: (
    options: PushOptions & { readonly scratch: string },
    building: AsyncDisposableStack,
  ) => Promise<Omit<Pusher, typeof Symbol.asyncDispose>>,
): PushingClient {
  return {
    name,
    test: testHere,
    prepare: async (options) => {
      await using building = new AsyncDisposableStack()
      const scratch = building.use(await temporaryDirectory()).path
      const made = await make({ ...options, scratch }, building)
      const parts = building.move()
      return { ...made, [Symbol.asyncDispose]: () => parts.disposeAsync() }
    },
  }
}

const skopeo = client('skopeo', testWith(['skopeo']), async ({ target, credentials, scratch }) => {
  const image = makeDockerImage('skopeo', { layerBytes: 300_000 })
  const dir = join(scratch, 'image')
  await writeDir(dir, image)
  const creds = credentials === undefined ? [] : ['--dest-creds', credentials]
  const flags = ['--preserve-digests', '--dest-tls-verify=false', ...creds]
  return {
    push: async () => {
      const to = [`dir:${dir}`, `docker://${target}`]
      await run('skopeo', ['--debug', '--insecure-policy', 'copy', ...flags, ...to])
      return image.digest
    },
  }
})

const docker = client(
  'docker',
  testWith(['docker', 'dockerd'], { root: true }),
  async ({ target, credentials, scratch }, building) => {
    const engine = building.use(await startDocker())
    const { unavailable } = engine
    if (unavailable !== undefined) return { unavailable, push: async () => '' }
    await writeFile(join(scratch, 'hello'), 'from docker\n')
    const tar = join(scratch, 'root.tar')
    await run('tar', ['-C', scratch, '-cf', tar, 'hello'])
    await engine.docker('import', tar, target)
    const [user = '', password = ''] = credentials?.split(':') ?? []
    const [host = ''] = target.split('/')
    return {
      push: async () => {
        if (credentials !== undefined)
          await engine.docker('login', '-u', user, '-p', password, host)
        const output = await engine.docker('push', target)
        return /digest: (\S+)/.exec(output)?.[1] ?? output
      },
    }
  },
)

const podman = client(
  'podman',
  testWith(['podman'], { root: true }),
  async ({ target, from, credentials, scratch }) => {
    const command = await createPodman(scratch)
    const base = `${new URL(from).host}/demo/base:v1`
    await pushImage(from, 'demo/base', 'v1', await makeRealImage('podman'))
    await command('pull', base)
    await command('tag', base, target)
    const digestFile = join(scratch, 'digest')
    const creds = credentials === undefined ? [] : ['--creds', credentials]
    return {
      push: async () => {
        await command('push', ...creds, '--digestfile', digestFile, target)
        return readFile(digestFile, 'utf8')
      },
    }
  },
)

const containerd = client(
  'containerd',
  testWith(['containerd', 'ctr'], { root: true }),
  async ({ target, from, credentials, scratch }, building) => {
    const { ctr } = building.use(await startContainerd(scratch))
    const image = await makeRealImage('containerd')
    await pushImage(from, 'demo/base', 'v1', image)
    const base = `${new URL(from).host}/demo/base:v1`
    await ctr('images', 'pull', '--plain-http', ...SNAPSHOTS, base)
    const creds = credentials === undefined ? [] : ['--user', credentials]
    return {
      push: async () => {
        await ctr('images', 'push', '--plain-http', ...creds, target, base)
        return image.digest
      },
    }
  },
)

export const PUSHING_CLIENTS: readonly PushingClient[] = [skopeo, docker, podman, containerd]

/**
 * The two images that the Dockerfile builds on, made of Debian packages where no registry can be asked: a bare Debian,
 * and the same with this machine's Node.js and npm. Kept as a tar file outside the checkout between runs.
 */
import { access, copyFile, cp, mkdir, realpath, rename, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { messageOf } from '../../src/lib/errors.ts'
import type { Docker } from './docker-daemon.ts'
import { run, sayIt, temporaryDirectory } from './programs.ts'

const RUN_BASE = 'debian:bookworm-slim'
const BUILD_BASE = 'node:24-bookworm-slim'
const CACHE = join(process.env.ENTREPOT_TEST_CACHE ?? tmpdir(), 'entrepot-test-cache')
/** What Debian's own slim image leaves out. */
const SLIM = [
  'var/cache/apt',
  'var/lib/apt/lists',
  'usr/share/doc',
  'usr/share/locale',
  'usr/share/man',
]

/** Why nothing can be built here: without the registries of npm and Debian there are no packages. */
export async function whyNoPackages(): Promise<string | undefined> {
  try {
    await run('npm', ['view', '--fetch-retries=0', 'hono', 'version'], { cwd: tmpdir() })
    await debianTar()
    return undefined
  } catch (err) {
    const reason = `no packages to build from: ${messageOf(err).slice(0, 300)}`
    sayIt(`skipped: ${reason}`)
    return reason
  }
}

/** Both images, under the names of the Dockerfile. @throws when Debian's packages cannot be had */
export async function makeBaseImages({ docker }: Docker): Promise<void> {
  await docker('import', await debianTar(), RUN_BASE)
  await using context = await temporaryDirectory()
  await copyNode(join(context.path, 'usr', 'local'))
  const settings = await npmSettings(context.path)
  await writeFile(
    join(context.path, 'Dockerfile'),
    [
      `FROM ${RUN_BASE}`,
      'COPY . /',
      ...settings.map(([name, value]) => `ENV ${name}=${value}`),
    ].join('\n'),
  )
  await docker('build', '--quiet', '--tag', BUILD_BASE, context.path)
}

async function debianTar(): Promise<string> {
  const tar = join(CACHE, `bookworm-${process.arch}.tar`)
  try {
    await access(tar)
    return tar
  } catch {
    // Made below, once.
  }
  await mkdir(CACHE, { recursive: true })
  await using scratch = await temporaryDirectory()
  const root = join(scratch.path, 'root')
  await run('debootstrap', ['--variant=minbase', 'bookworm', root])
  const unfinished = `${tar}.${process.pid}`
  const exclude = SLIM.map((path) => `--exclude=./${path}/*`)
  await run('tar', ['-C', root, ...exclude, '-cf', unfinished, '.'])
  await rename(unfinished, tar)
  return tar
}

/** Node.js and npm of the machine, not those of the checkout: the image of a build stage is not ours either. */
async function copyNode(prefix: string): Promise<void> {
  const outside = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => !directory.includes('node_modules'))
  const node = await firstFile(outside, 'node')
  const npm = await firstFile(outside, 'npm')
  await mkdir(join(prefix, 'bin'), { recursive: true })
  await copyFile(node, join(prefix, 'bin', 'node'))
  // .../npm/bin/npm-cli.js
  await cp(dirname(dirname(npm)), join(prefix, 'lib', 'node_modules', 'npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(prefix, 'bin', 'npm'))
}

async function firstFile(directories: readonly string[], name: string): Promise<string> {
  for (const directory of directories) {
    const path = await realpath(join(directory, name)).catch(() => undefined)
    if (path !== undefined) return path
  }
  throw new Error(`no ${name} in ${directories.join(', ')}`)
}

/** How npm reaches its registry from here: address, and whom it trusts. Accounts are not handed on. */
async function npmSettings(root: string): Promise<readonly (readonly [string, string])[]> {
  const registry = (await run('npm', ['config', 'get', 'registry'])).stdout.trim()
  const settings: [string, string][] = [['NPM_CONFIG_REGISTRY', registry]]
  const authorities = process.env.NODE_EXTRA_CA_CERTS
  if (authorities !== undefined) {
    const file = '/etc/entrepot-test-authorities.pem'
    await mkdir(join(root, 'etc'), { recursive: true })
    await copyFile(authorities, join(root, file))
    settings.push(['NODE_EXTRA_CA_CERTS', file])
  }
  return settings
}

/** Reads distribution's layout as it is on disk, one directory entry after the other: a million tags are never in memory. */
import { opendir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../lib/errors.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../oci/name.ts'
import { layersPath, REPOSITORIES_PATH, revisionsPath, tagsPath } from './layout.ts'

/** A link file. */
export interface FoundLink<N> {
  /** What its directory stands for; undefined where the name says nothing. */
  readonly name: N | undefined
  /** Of the file, relative to the data directory. */
  readonly path: string
  /** What it holds; undefined: no digest. */
  readonly target: Digest | undefined
  /** For a person: what is there instead of a digest. */
  readonly came: string
}

export interface FoundRepository {
  /** Undefined where the path is no name of a repository. */
  readonly name: RepositoryName | undefined
  readonly path: string
}

export interface LayoutScan {
  /** Directories that have manifests or layers, in no order. */
  repositories(): AsyncGenerator<FoundRepository>
  /** In batches: links are small, and reading many at once hides the disk's latency. */
  revisions(repository: RepositoryName): AsyncGenerator<readonly FoundLink<Digest>[]>
  layers(repository: RepositoryName): AsyncGenerator<readonly FoundLink<Digest>[]>
  tags(repository: RepositoryName): AsyncGenerator<readonly FoundLink<Tag>[]>
  /** What a link file holds. */
  read(path: string): Promise<Pick<FoundLink<never>, 'target' | 'came'>>
}

/** In place of what a link holds. */
export const NO_FILE = 'no file'
/** Links in one batch. */
const BATCH = 64
/** Entries of a directory that one call of the system brings. */
const ENTRIES = 256

export function createLayoutScan({ directory }: { readonly directory: string }): LayoutScan {
  const at = (path: string) => join(directory, path)

  async function read(path: string): Promise<Pick<FoundLink<never>, 'target' | 'came'>> {
    const text = await readFile(at(path), 'utf8').catch((err: unknown) => {
      if (isAbsent(err)) return undefined
      throw err
    })
    if (text === undefined) return { target: undefined, came: NO_FILE }
    const target = parseDigest(text)
    return {
      target,
      came: target ?? (text === '' ? 'an empty file' : JSON.stringify(text.slice(0, 100))),
    }
  }

  async function* repositories(path: string, name: string): AsyncGenerator<FoundRepository> {
    let isRepository = false
    for await (const entry of directoriesIn(at(path))) {
      if (entry === '_manifests' || entry === '_layers') isRepository = true
      // What begins with an underscore belongs to the repository: no component of a name does.
      if (entry.startsWith('_')) continue
      yield* repositories(`${path}/${entry}`, name === '' ? entry : `${name}/${entry}`)
    }
    if (isRepository) yield { name: parseRepositoryName(name), path }
  }

  async function* links<N>(
    names: AsyncGenerator<{ readonly name: N | undefined; readonly path: string }>,
  ): AsyncGenerator<readonly FoundLink<N>[]> {
    for await (const batch of batches(names, BATCH)) {
      const found = await Promise.all(
        batch.map(async (one) => ({ ...one, ...(await read(one.path)) })),
      )
      // A delete leaves the directory.
      yield found.filter(({ came }) => came !== NO_FILE)
    }
  }

  async function* digestsIn(path: string) {
    for await (const algorithm of directoriesIn(at(path))) {
      for await (const hex of directoriesIn(at(`${path}/${algorithm}`))) {
        const name = parseDigest(`${algorithm}:${hex}`)
        yield { name, path: `${path}/${algorithm}/${hex}/link` }
      }
    }
  }

  async function* tagsIn(path: string) {
    for await (const tag of directoriesIn(at(path))) {
      yield { name: parseTag(tag), path: `${path}/${tag}/current/link` }
    }
  }

  return {
    repositories: () => repositories(REPOSITORIES_PATH, ''),
    revisions: (repository) => links(digestsIn(revisionsPath(repository))),
    layers: (repository) => links(digestsIn(layersPath(repository))),
    tags: (repository) => links(tagsIn(tagsPath(repository))),
    read,
  }
}

async function* directoriesIn(path: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(path, { bufferSize: ENTRIES })) {
      if (entry.isDirectory()) yield entry.name
    }
  } catch (err) {
    // Others may remove what is looked at.
    if (!isAbsent(err)) throw err
  }
}

function isAbsent(err: unknown): boolean {
  return codeOf(err) === 'ENOENT' || codeOf(err) === 'ENOTDIR'
}

async function* batches<T>(source: AsyncIterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let batch: T[] = []
  for await (const one of source) {
    batch.push(one)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

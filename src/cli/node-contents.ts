/** What a running node has: its images with the sizes of their blobs, asked over the registry API. */
import type { Content, Part } from '../forecast/plan-content.ts'
import { codeOf } from '../lib/errors.ts'
import { parseRepositoryName, parseTag, type RepositoryName } from '../oci/name.ts'
import { askNode } from './node-api.ts'
import type { NodeOptions } from './node-command.ts'

type AskOptions = Pick<NodeOptions, 'url' | 'tlsCa'>

/** Names in one answer. */
const PAGE = 500
/** Images looked at: some two requests each. */
const MAX_IMAGES = 20_000
/** Images asked for side by side. */
const AT_ONCE = 8

export interface NodeContents {
  readonly contents: readonly Content[]
  /** There are more than were looked at. */
  readonly isCut: boolean
}

interface Descriptor {
  readonly digest: string
  readonly size: number
  readonly platform?: {
    readonly os?: string
    readonly architecture?: string
    readonly variant?: string
  }
}

interface Manifest {
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
  readonly manifests?: readonly Descriptor[]
}

/** @throws CONFIG_INVALID, TLS_INVALID, NODE_UNREACHABLE, NODE_REFUSED */
export async function readContents(options: AskOptions): Promise<NodeContents> {
  const images: { repository: RepositoryName; reference: string }[] = []
  for (const name of await pages(options, '/v2/_catalog', 'repositories')) {
    const repository = parseRepositoryName(name)
    if (repository === undefined) continue
    const tags = await pages(options, `/v2/${repository}/tags/list`, 'tags')
    for (const reference of tags) images.push({ repository, reference })
    if (images.length >= MAX_IMAGES) break
  }
  const contents: Content[] = []
  for (let at = 0; at < Math.min(images.length, MAX_IMAGES); at += AT_ONCE) {
    const some = images.slice(at, Math.min(at + AT_ONCE, MAX_IMAGES))
    const read = await Promise.all(
      some.map(async ({ repository, reference }) => {
        const tag = parseTag(reference)
        if (tag === undefined) return undefined
        return { repository, tag, parts: await partsOf(options, repository, reference) }
      }),
    )
    contents.push(...read.filter((one) => one !== undefined))
  }
  return { contents, isCut: images.length >= MAX_IMAGES }
}

async function pages(
  { url, tlsCa }: AskOptions,
  path: string,
  key: 'repositories' | 'tags',
): Promise<readonly string[]> {
  const names: string[] = []
  for (;;) {
    const last = names.at(-1)
    const after = last === undefined ? '' : `&last=${encodeURIComponent(last)}`
    const answer = await askNode<{ readonly [Key in typeof key]?: readonly string[] | null }>(
      url,
      `${path}?n=${PAGE}${after}`,
      { tlsCa },
    )
    const page = answer[key] ?? []
    names.push(...page)
    if (page.length < PAGE || names.length >= MAX_IMAGES) return names
  }
}

/** A child that is not there has no size: the node holds other platforms only. */
async function partsOf(
  options: AskOptions,
  repository: RepositoryName,
  reference: string,
): Promise<readonly Part[]> {
  const manifest = await manifestAt(options, repository, reference)
  if (manifest === undefined) return []
  if (manifest.manifests === undefined) return [{ blobs: blobsOf(manifest) }]
  const parts: Part[] = []
  for (const {
    digest,
    platform: { os = '', architecture = '', variant } = {},
  } of manifest.manifests) {
    const child = await manifestAt(options, repository, digest)
    if (child === undefined) continue
    const platform = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
    const blobs = blobsOf(child)
    // Attestations name no platform that exists; they go with every image.
    parts.push(os === '' || os === 'unknown' ? { blobs } : { platform, blobs })
  }
  return parts
}

async function manifestAt(
  { url, tlsCa }: AskOptions,
  repository: RepositoryName,
  reference: string,
): Promise<Manifest | undefined> {
  const path = `/v2/${repository}/manifests/${reference}`
  try {
    return await askNode<Manifest>(url, path, { tlsCa })
  } catch (err) {
    if (codeOf(err) === 'NODE_REFUSED') return undefined
    throw err
  }
}

function blobsOf({ config, layers = [] }: Manifest): ReadonlyMap<string, number> {
  const all = [...(config === undefined ? [] : [config]), ...layers]
  return new Map(all.map(({ digest, size }) => [digest, size]))
}

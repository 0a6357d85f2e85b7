/** What a node lists that it does not hold, since it comes when it is asked for: tags, and manifests about others. */
import type { Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isDigest, type Reference, type RepositoryName, type Tag } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { describeReferrer, type Page, type ReferrerDescriptor } from '../storage/content.ts'
import type { Entry, Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Ask, ImageBringer } from './image-bringer.ts'

export interface RequestListsDeps {
  readonly ledger: Pick<Ledger, 'entriesOf'>
  readonly demands: Demands
  readonly bringer: ImageBringer
  /** References of records about a manifest. */
  readonly recordsAbout: (repository: RepositoryName, subject: Digest) => AsyncIterable<Reference>
}

export interface RequestLists {
  tags(repository: RepositoryName, page: Page): Promise<readonly Tag[]>
  /** Their manifests are fetched: no record has what a list says of them. */
  referrers(
    repository: RepositoryName,
    subject: Digest,
    ask: Ask,
  ): Promise<readonly ReferrerDescriptor[]>
}

/** Entries read at a time: between two pages others have their turn. */
const PAGE = 128
/** Manifests about one that are fetched for a list; signatures and SBOMs are a few. Of more the others are not in it. */
const MAX_REFERRERS = 64

export function createRequestLists({
  ledger,
  demands,
  bringer,
  recordsAbout,
}: RequestListsDeps): RequestLists {
  async function mayCome({ key, history, held }: Entry): Promise<boolean> {
    const record = visibleOf(history)?.record
    if (record === undefined || held !== undefined) return false
    return (await demands.of(itemOf(key, record), bringer.naming))?.onRequest !== undefined
  }

  async function describe(
    repository: RepositoryName,
    reference: Reference,
    subject: Digest,
    ask: Ask,
  ): Promise<ReferrerDescriptor | undefined> {
    const image = await bringer.imageOf({ repository, reference })
    const found = image && (await bringer.bring(image, image.root, ask))
    const parse = found && parseManifest(found.bytes, found.mediaType)
    if (found === undefined || parse?.kind !== 'parsed') return undefined
    if (parse.manifest.subject !== subject) return undefined
    return describeReferrer({ digest: found.digest, size: found.bytes.length }, parse.manifest)
  }

  return {
    tags: async (repository, { after = '', limit }) => {
      const tags: Tag[] = []
      for (let last: string | undefined = after; last !== undefined && tags.length < limit; ) {
        const page: readonly Entry[] = await ledger.entriesOf(repository, {
          after: last,
          limit: PAGE,
        })
        last = page.length < PAGE ? undefined : page.at(-1)?.key.reference
        for (const entry of page) {
          const { reference } = entry.key
          if (isDigest(reference)) {
            // As many as there are images: the next tag stands behind all of them.
            last = `${reference.slice(0, reference.indexOf(':'))};`
            break
          }
          if (await mayCome(entry)) tags.push(reference)
        }
      }
      return tags.slice(0, limit)
    },
    referrers: async (repository, subject, ask) => {
      const references: Reference[] = []
      for await (const reference of recordsAbout(repository, subject)) {
        if (references.push(reference) === MAX_REFERRERS) break
      }
      const look = { ...ask, isLook: true }
      const all = references.map((reference) => describe(repository, reference, subject, look))
      const found = (await Promise.all(all)).filter((one) => one !== undefined)
      return [...new Map(found.map((one) => [one.digest, one])).values()]
    },
  }
}

/** What the tests of pushes and of deletes have in common: one repository, two images, and short questions. */
import { OciError } from '../../../src/oci/errors.ts'
import type { Tag } from '../../../src/oci/name.ts'
import { makeImage } from '../../helpers/images.ts'
import type { StorageRig } from '../../helpers/storage-rig.ts'
import { ref, repo } from '../../helpers/writers.ts'

export const REPO = repo('team/app')
export const V1 = ref('v1') as Tag
export const image = makeImage('image')
export const other = makeImage('other')

/** The code of the OciError that it ends with; undefined when it ends well. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (err) {
    if (err instanceof OciError) return err.code
    throw err
  }
}

export function pushOf(manifest: typeof image, reference: string = manifest.digest) {
  const { mediaType, bytes } = manifest
  return { repository: REPO, reference: ref(reference), mediaType, bytes }
}

export const digestAt = async ({ content }: StorageRig, reference: string) =>
  (await content.statManifest(REPO, ref(reference)))?.digest

/** Samples: images that stand for what policies are written for, where nobody has asked a node for real ones. */
import { minVersion } from 'semver'
import { parseRepositoryName, parseTag } from '../oci/name.ts'
import { sampleOf } from '../topology/glob.ts'
import { writersOf } from '../topology/origins.ts'
import type { Policy, Topology } from '../topology/topology.ts'
import { type Image, lets } from './ways.ts'

/** Tags that most policies let through or keep out. */
const USUAL_TAGS = ['1.0.0', 'v1.0.0', 'latest']
/** Of one policy: each is asked for at every node. */
const MAX_SAMPLES = 8

export interface Sample extends Image {
  /** What it stands for: a glob over repositories. */
  readonly glob: string
  /** The policies that let it through, by name. */
  readonly policies: readonly string[]
}

/** One or more a policy, each let through by it and written by somebody; in the order of the policies. */
export function samplesOf(topologies: readonly Topology[]): readonly Sample[] {
  const policies = topologies.flatMap((topology) => [...topology.policies.values()])
  const found = new Map<string, Sample>()
  for (const policy of policies) {
    for (const { glob, ...image } of ofPolicy(policy)) {
      const key = `${image.repository}:${image.tag}`
      if (found.has(key)) continue
      if (topologies.every((one) => writersOf(one, image.repository).length === 0)) continue
      const letting = policies.filter((one) => lets(one, image)).map(({ name }) => name)
      found.set(key, { ...image, glob, policies: [...new Set(letting)] })
    }
  }
  return [...found.values()]
}

function ofPolicy(policy: Policy): readonly (Image & { readonly glob: string })[] {
  const { repos, semver, include } = policy.match
  const least = semver === undefined ? null : minVersion(semver)
  const tags = [...(least === null ? [] : [least.version]), ...include.map(sampleOf), ...USUAL_TAGS]
  const images = repos.flatMap((glob) => {
    const repository = parseRepositoryName(sampleOf(glob))
    if (repository === undefined) return []
    const tag = tags
      .flatMap((text) => parseTag(text) ?? [])
      .find((one) => lets(policy, { repository, tag: one }))
    return tag === undefined ? [] : [{ repository, tag, glob }]
  })
  return images.slice(0, MAX_SAMPLES)
}

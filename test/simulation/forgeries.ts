/** Records that nobody may believe, and pushes where nobody may push. */
import { createAccess } from '../../src/access/create-access.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { type Identity, identityFromSeed } from '../../src/record/identity.ts'
import { signRecord } from '../../src/record/record-codec.ts'
import type { PutRecord, SignedRecord } from '../../src/record/tag-record.ts'
import { timeOfMs } from '../../src/record/time.ts'
import { createRegistryApp } from '../../src/registry/registry-app.ts'
import { peerOf } from '../../src/simulator/sim-node.ts'
import { topicsOf } from '../../src/topology/groups.ts'
import { refuseWriting, writersOf } from '../../src/topology/origins.ts'
import { makeImage } from '../helpers/images.ts'
import { NOWHERE } from '../helpers/nowhere.ts'
import { repositoriesOf } from './actions.ts'
import { nodeNamed, until, type World } from './world.ts'

const STRANGER = identityFromSeed(Buffer.alloc(32, 'a stranger'))
/** A refusal needs nobody else, simulated milliseconds. */
const ANSWER_MS = 60_000

/** A neighbour hands over something that it should not. */
export function forge(world: World): void {
  const { random, topology, hub, clock, tell } = world
  const target = random.pick([...topology.nodes.keys()])
  const topics = topicsOf(nodeNamed(world, target).topology, target)
  // By a file without links nobody hands it anything.
  if (topics.length === 0) return
  const group = random.pick(topics)
  const senders = group.group.senders.filter((name) => name !== target)
  if (senders.length === 0) return
  const from = random.pick(senders)
  const repository = random.pick(repositoriesOf(world))
  const { digest, mediaType, bytes } = makeImage(`forged ${clock.now()}`)
  const record: PutRecord = {
    kind: 'put',
    realm: topology.realm,
    repository,
    reference: 'v1.0.0' as Tag,
    digest,
    mediaType,
    size: bytes.length,
    seen: new Map(),
    time: timeOfMs(clock.now()),
  }
  const writer = nodeNamed(world, random.pick(writersOf(topology, repository))).identity
  const [what, data] = random.pick(forgeries(world, record, writer))
  tell(`forged at ${target} by ${from}: ${what} for ${repository}`)
  hub.inject(peerOf(from), peerOf(target), group.topic, data)
}

function forgeries(
  { topology, nodes, clock }: World,
  record: PutRecord,
  writer: Identity,
): readonly (readonly [string, Uint8Array])[] {
  const others = [...nodes.values()].filter(
    ({ name }) => !writersOf(topology, record.repository).includes(name),
  )
  const later = timeOfMs(clock.now() + 1)
  return [
    ['a stranger signed it', signRecord(record, STRANGER).bytes],
    ...others.map(
      ({ name, identity }) => [`${name} signed it`, signRecord(record, identity).bytes] as const,
    ),
    ['it is of another realm', signRecord({ ...record, realm: 'elsewhere' }, writer).bytes],
    ['its signature is wrong', altered(signRecord(record, writer))],
    [
      'it has seen its own future',
      signRecord({ ...record, seen: new Map([[STRANGER.peerId, later]]) }, writer).bytes,
    ],
    ['it is noise', Buffer.from('not a record, but long enough to look like one'.repeat(4))],
  ]
}

function altered({ bytes }: SignedRecord): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const at = copy.length - 5
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

/** A client pushes at a node that is no writer: the registry says no. */
export async function pushWhereNobodyMay(world: World): Promise<void> {
  const { random, topology, memory, tell } = world
  const repository = random.pick(repositoriesOf(world))
  const node = random.pick([...world.nodes.values()])
  const { core, process } = node
  if (writersOf(topology, repository).includes(node.name)) return
  if (core === undefined || process === undefined || node.disk.isFull) return
  process.life.isPaused = true
  const image = makeImage('pushed at the wrong node')
  const access = createAccess({ nodeMayRead: () => false, random }, { anonymous: 'push' })
  const app = createRegistryApp({
    content: core.content,
    leases: core.leases,
    damage: core.damage,
    blobs: process.blobs,
    uploads: process.uploads,
    access,
    logger: silentLogger,
    refusal: (name: RepositoryName) => refuseWriting(topology, node.name, name),
    unableToSign: () => undefined,
    elsewhere: NOWHERE,
    isOwnName: () => false,
    isLate: () => false,
    maxManifestBytes: 4e6,
  })
  const ask = async () =>
    app.request(`/v2/${repository}/manifests/v1.0.0`, {
      method: 'PUT',
      headers: { 'content-type': image.mediaType },
      body: Uint8Array.from(image.bytes),
    })
  const { status } = await until(world, ask(), ANSWER_MS)
  process.life.isPaused = false
  tell(`push ${repository} at ${node.name}, which may not take it: ${status}`)
  if (status !== 403) memory.violations.push(`${node.name} answered a push with ${status}`)
}

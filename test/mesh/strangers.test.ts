import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createLibp2pNetwork } from '../../src/gossip/libp2p-network.ts'
import type { Network } from '../../src/gossip/network.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { identityPath } from '../../src/node/identity-file.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { createAuthor } from '../../src/record/author.ts'
import { generateIdentity, type Identity, identityFromPem } from '../../src/record/identity.ts'
import type { PeerId } from '../../src/record/peer-id.ts'
import { createLogicalClock } from '../../src/record/time.ts'
import { topicsOf } from '../../src/topology/groups.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const networks: Network[] = []
afterEach(async () => {
  for (const network of networks.splice(0)) await network[Symbol.asyncDispose]()
})

/** The topology as it runs. */
async function topologyOf({ topologyFile }: MeshProcess) {
  const { topology } = readTopology(await readFile(topologyFile, 'utf8'))
  if (topology === undefined) throw new Error('the topology is not valid')
  return topology
}

/** A libp2p node of this test with the given key, which dials a node of the mesh. */
async function joinAs(
  identity: Identity,
  mesh: MeshProcess,
  target: string,
  listen: string,
): Promise<Network> {
  const peerId = (await topologyOf(mesh)).nodes.get(target as NodeName)?.peerId as PeerId
  const network = await createLibp2pNetwork(
    {
      identity,
      isAllowed: () => true,
      neighbours: [{ peerId, address: mesh.node(target).meshAddress }],
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    },
    { listen: [listen] },
  )
  networks.push(network)
  return network
}

test('a stranger is cut off at the connection and reported once, however often it comes', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  await hq.start()
  const stranger = generateIdentity()
  const network = await joinAs(stranger, mesh, 'hq', '/ip4/127.0.0.1/tcp/0')
  await network.start()
  await eventually(async () => (await statusOf(hq)).counters.strangersRefused === 1)
  const tries = () => hq.log().split(stranger.peerId).length - 1
  // It dials again and again: its keeper looks every 500 ms.
  await systemClock.sleep(2_500)
  expect((await statusOf(hq)).counters.strangersRefused).toBe(1)
  expect(tries()).toBe(1)
  expect((await statusOf(hq)).neighbours.every(({ state }) => state === 'down')).toBe(true)
})

test('a node with a valid file but another key does not start, and says what to do', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const lon = mesh.node('lon')
  const foreign = identityPath(mesh.node('nyc').dataDirectory)
  await expect(lon.start({ flags: ['--identity', foreign] })).rejects.toThrow(
    /has peerId 12D3KooW\w+ in the topology, the key in .* is 12D3KooW/,
  )
})

test('a record of a node that is no writer is refused and reported once, garbage is dropped, and the mesh goes on', async () => {
  await using mesh = await startMesh({ file: 'hierarchical.yaml' }, { start: [] })
  const edge = mesh.node('eu-1')
  const eu = mesh.node('eu')
  await edge.start()
  // This test takes the place of the relay eu, with its key: a relay that was broken into.
  const identity = identityFromPem(await readFile(identityPath(eu.dataDirectory), 'utf8'))
  const fake = await joinAs(identity, mesh, 'eu-1', eu.meshAddress)
  const topology = await topologyOf(mesh)
  const topics = topicsOf(topology, 'eu' as NodeName).filter(({ sends }) => sends)
  for (const { topic } of topics) fake.join(topic, () => 'ignore')
  await fake.start()
  await eventually(() => fake.connected().length === 1)
  const author = createAuthor(
    { identity, logicalClock: createLogicalClock({ clock: systemClock }) },
    { realm: topology.realm },
  )
  const image = makeImage('forged')
  const forge = (tag: string) =>
    author.sign(
      {
        kind: 'put',
        repository: 'demo/app' as RepositoryName,
        reference: tag as Tag,
        digest: image.digest,
        mediaType: image.mediaType,
        size: image.bytes.length,
      },
      [],
    ).bytes
  const publish = async (data: Uint8Array) => {
    for (const { topic } of topics) await fake.publish(topic, data)
  }
  // Topics are known to each other a moment after the connection: publish until the first one has arrived.
  let at = 0
  await eventually(async () => {
    at += 1
    await publish(forge(`v1.${at}`))
    return (await statusOf(edge)).counters.recordsRefused === 1
  })
  await publish(forge('v2.0'))
  await publish(randomBytes(300))
  await publish(randomBytes(20_000)).catch(() => {})
  await publish(new Uint8Array([1]))
  await systemClock.sleep(500)
  expect(edge.log().match(/record refused/g)?.length).toBeLessThanOrEqual(3)
  expect((edge.log().match(/no-writer/g) ?? []).length).toBe(1)
  expect(await digestAt(edge.url, 'demo/app', 'v1.1')).toBeUndefined()
  expect(await recordsOf(edge, 'demo/app')).toEqual([])

  // The real relay comes back, and releases flow as ever.
  await fake[Symbol.asyncDispose]()
  networks.length = 0
  await Promise.all([eu.start(), mesh.node('hub').start()])
  const real = makeImage('real')
  await pushImage(mesh.node('hub').url, 'demo/app', 'v3.0', real)
  await eventually(async () => (await digestAt(edge.url, 'demo/app', 'v3.0')) === real.digest)
  await comparePull(edge.url, 'demo/app', 'v3.0', real)
})

test('garbage on the mesh port and half-open connections do not disturb a node', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' })
  const hq = mesh.node('hq')
  const port = Number(hq.meshAddress.split('/').at(-1))
  const sockets = Array.from({ length: 40 }, (_, at) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    if (at % 3 === 0) socket.write(randomBytes(5_000))
    if (at % 3 === 1) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    return socket
  })
  const image = makeImage('meanwhile')
  await pushImage(hq.url, 'demo/app', 'v1', image)
  for (const name of ['lon', 'nyc', 'sgp']) {
    const { url } = mesh.node(name)
    await eventually(async () => (await digestAt(url, 'demo/app', 'v1')) === image.digest)
  }
  for (const socket of sockets) socket.destroy()
  expect(hq.log()).not.toContain('unhandled')
})

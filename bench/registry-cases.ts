/** The cases of the registry benchmark, as a table: what is asked of every peer, and in which unit it is told. */
import { bytesOf, makeBlob, makeImage, type TestBlob } from '../test/helpers/images.ts'
import {
  ACCEPT_MANIFEST,
  blobAsk,
  type Corpus,
  KIB,
  MIB,
  manifestAsk,
  proveContent,
  REPOSITORY,
} from './corpus.ts'
import { type Load, sideBySide } from './load.ts'
import { findProgram, type Peer } from './peers.ts'
import { openPusher, type Pusher } from './pusher.ts'
import { type Ask, rawGet } from './raw-get.ts'
import { warmPages } from './warm-pages.ts'
import { runWrk } from './wrk.ts'

export interface Case {
  readonly name: string
  readonly unit: 'MB/s' | 'per s'
  readonly isPush: boolean
  /** Once per peer, before the first round: hashes what will be asked for. */
  prove(peer: Peer): Promise<void>
  /** One round at one peer. Nothing is shared between rounds: each push is of new bytes. */
  run(peer: Peer, scale: number): Promise<Load>
}

/** Seconds of a round of small requests, at scale 1. */
const SMALL_SECONDS = 3

export function makeCases(corpus: Corpus): readonly Case[] {
  const large = corpus.large.map(blobAsk)
  const small = corpus.small.map(blobAsk)
  const manifests = corpus.images.map(manifestAsk)
  // Nine small ones, then a middle one.
  const mixedBlobs = Array.from({ length: 80 }, (_, at) =>
    at % 10 === 9 ? corpus.middle[Math.floor(at / 10)] : corpus.small[at],
  ).filter((blob) => blob !== undefined)
  const mixed = mixedBlobs.map(blobAsk)
  const none = { prove: async () => {}, isPush: true }
  const pull = (asks: readonly Ask[], blobs: readonly TestBlob[]) => ({
    isPush: false,
    prove: (peer: Peer) => proveContent(peer, asks, blobs),
  })
  return [
    ...[1, 8].map((connections) => ({
      name: `GET 256 MiB, ${connections} conn`,
      unit: 'MB/s' as const,
      ...pull(large, corpus.large),
      run: ({ url }: Peer, scale: number) =>
        rawGet({ url, asks: large, connections, requests: atLeast(connections, 16 * scale) }),
    })),
    ...[1, 8, 32].map((connections) => ({
      name: `GET 64 KiB, ${connections} conn`,
      unit: 'per s' as const,
      ...pull(small, corpus.small),
      run: (peer: Peer, scale: number) => getSmall(peer, small, connections, scale),
    })),
    ...[1, 8, 32].map((connections) => ({
      name: `GET manifest 2 KiB by tag, ${connections} conn`,
      unit: 'per s' as const,
      ...pull(manifests, corpus.images),
      run: (peer: Peer, scale: number) => getSmall(peer, manifests, connections, scale),
    })),
    {
      name: 'GET mixed 90 % 64 KiB, 10 % 16 MiB, 8 conn',
      unit: 'per s',
      ...pull(mixed, mixedBlobs),
      run: ({ url }, scale) =>
        rawGet({ url, asks: mixed, connections: 8, requests: atLeast(80, 1_600 * scale) }),
    },
    {
      name: 'PUT 256 MiB, 1 conn',
      unit: 'MB/s',
      ...none,
      run: (peer) => pushSide(peer, 1, newBlobs(1, 256 * MIB), (pusher, one) => pusher.layer(one)),
    },
    {
      name: 'PUT 32 MiB, 8 conn',
      unit: 'MB/s',
      ...none,
      run: (peer) => pushSide(peer, 8, newBlobs(8, 32 * MIB), (pusher, one) => pusher.layer(one)),
    },
    ...[1, 8, 32].map((connections) => ({
      name: `push 64 KiB, ${connections} conn`,
      unit: 'per s' as const,
      ...none,
      run: (peer: Peer, scale: number) => {
        const blobs = newBlobs(atLeast(connections * 4, (100 + 20 * connections) * scale), 64 * KIB)
        return pushSide(peer, connections, blobs, (pusher, one) => pusher.blob(one))
      },
    })),
    ...[1, 8].map((connections) => ({
      name: `push image (config, 64 KiB, manifest), ${connections} conn`,
      unit: 'per s' as const,
      ...none,
      run: (peer: Peer, scale: number) => {
        const count = atLeast(connections * 4, (32 + 12 * connections) * scale)
        const images = Array.from({ length: count }, () =>
          makeImage(`pushed ${nextSeed()}`, { layers: 1, layerBytes: 64 * KIB }),
        )
        return pushSide(peer, connections, images, (pusher, image) =>
          pusher.image(image, `p${image.digest.slice(7, 23)}`),
        )
      },
    })),
  ]
}

function atLeast(least: number, wanted: number): number {
  return Math.max(least, Math.round(wanted))
}

async function getSmall(
  { url }: Peer,
  asks: readonly Ask[],
  connections: number,
  scale: number,
): Promise<Load> {
  const seconds = atLeast(1, SMALL_SECONDS * scale)
  const program = findProgram('wrk')
  // Without wrk our own sockets do it: slower, for every peer alike.
  const accept = ACCEPT_MANIFEST
  if (program === undefined) {
    return rawGet({ url, asks, connections, requests: seconds * 3_000, accept })
  }
  const bodyBytes = asks.reduce((sum, { size }) => sum + size, 0) / asks.length
  const paths = asks.map(({ path }) => path)
  return runWrk(program, { url, paths, accept, connections, seconds, bodyBytes })
}

async function pushSide<T extends TestBlob>(
  { url }: Peer,
  connections: number,
  items: readonly T[],
  push: (pusher: Pusher, item: T) => Promise<void>,
): Promise<Load> {
  await using pushers = new AsyncDisposableStack()
  const open = Array.from({ length: connections }, () => pushers.use(openPusher(url, REPOSITORY)))
  let next = 0
  warmPages()
  const seconds = await sideBySide(connections, async (worker) => {
    const pusher = open[worker]
    while (pusher !== undefined) {
      const item = items[next]
      next += 1
      if (item === undefined) return
      await push(pusher, item)
    }
  })
  const bytes = items.reduce((sum, item) => sum + item.bytes.length, 0)
  return { requests: items.length, bytes, seconds }
}

let seed = 0
/** Another one at every run, or a peer with old content would know the bytes already. */
const RUN = `${process.pid}-${performance.timeOrigin}`

function nextSeed(): string {
  seed += 1
  return `${RUN}-${seed}`
}

/** Bytes that no peer has seen; made before the clock runs. */
function newBlobs(count: number, size: number): readonly TestBlob[] {
  return Array.from({ length: count }, () => makeBlob(bytesOf(nextSeed(), size)))
}

/** What goes wrong: links, processes, disks, clocks. Every fault can be healed. */
import { EMPTY_COPY, type SimDiskCopy } from '../../src/simulator/sim-disk.ts'
import { peerOf, type SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName } from '../../src/topology/topology.ts'
import { changeNode, makeNextFile } from './changes.ts'
import { advance, startNode, type World } from './world.ts'

export interface Faults {
  link(): Promise<void>
  oneWay(): Promise<void>
  partition(): Promise<void>
  process(): Promise<void>
  dieAtCall(): Promise<void>
  loseDisk(): Promise<void>
  fillDisk(): Promise<void>
  moveClock(): Promise<void>
  /** Some nodes take up the newest file, or a next one. */
  changeTopology(): Promise<void>
  /** All is whole and runs. */
  heal(): Promise<void>
}

/** A port's call, from the next one on: a push has some ten, a start some hundred. */
const CALLS_AHEAD = 120
/** Of the index: a push has some five. */
const BATCHES_AHEAD = 12
const SECOND_MS = 1_000
/** How far a clock jumps, milliseconds: hours are seldom, since all wait for a record that is hours ahead. */
const JUMPS_MS = [2, 20, 50, 70, 300, 300, 900, 3_600].map((seconds) => seconds * SECOND_MS)

export function createFaults(world: World): Faults {
  const { random, hub, nodes, plot, memory, tell } = world
  const names = [...nodes.keys()]
  const copies = new Map<NodeName, SimDiskCopy>()

  function setLink(a: NodeName, b: NodeName, isUp: boolean): void {
    if (a !== b) hub.setLink(peerOf(a), peerOf(b), isUp)
  }

  function setClock(node: SimNode, offsetMs: number): void {
    const atMs = world.clock.now()
    memory.of(node).clockMoved = { atMs, wasMs: atMs + node.clockOffsetMs }
    node.clockOffsetMs = offsetMs
  }

  /** An earlier state comes back, or nothing: of the index, of the blobs or of both. */
  async function loseDiskOf(node: SimNode): Promise<void> {
    node.crash()
    const copy = random.fraction() < 0.5 ? copies.get(node.name) : EMPTY_COPY
    if (copy === undefined) return
    const parts = copy === EMPTY_COPY ? WHOLE : random.pick([WHOLE, ONLY_INDEX])
    const isLacking =
      !parts.blobs && [...copy.disk.blobs.keys()].some((one) => !node.disk.disk.blobs.has(one))
    tell(`${copy === EMPTY_COPY ? 'lose' : 'set back'} ${describe(parts)} of ${node.name}`)
    await node.disk.restore(copy, parts)
    memory.forget(node, isLacking)
    world.files.forget(node.name)
    // It lies there for a while, or comes back at once.
    if (random.fraction() < 0.5) await startNode(world, node)
  }

  return {
    link: async () => {
      const [a, b] = [random.pick(names), random.pick(names)]
      const isUp = random.fraction() < 0.5
      tell(`${isUp ? 'heal' : 'cut'} ${a} - ${b}`)
      setLink(a, b, isUp)
    },
    oneWay: async () => {
      const [a, b] = [random.pick(names), random.pick(names)]
      if (!plot.hasOneWay || a === b) return
      const isUp = random.fraction() < 0.4
      tell(`${isUp ? 'heal' : 'cut'} ${a} > ${b}`)
      hub.setOneWay(peerOf(a), peerOf(b), isUp)
    },
    partition: async () => {
      const part = names.filter(() => random.fraction() < 0.5)
      const isUp = random.fraction() < 0.4
      tell(`${isUp ? 'join' : 'part'} ${part.join(' ')} and the others`)
      for (const a of part) for (const b of names) if (!part.includes(b)) setLink(a, b, isUp)
    },
    process: async () => {
      const node = random.pick([...nodes.values()])
      tell(`${node.process ? 'crash' : 'start'} ${node.name}`)
      if (node.process) node.crash()
      else await startNode(world, node)
    },
    dieAtCall: async () => {
      const node = random.pick([...nodes.values()])
      if (!plot.diesAtCalls || node.process === undefined) return
      const [call, isEffective] = [1 + random.below(CALLS_AHEAD), random.fraction() < 0.5]
      tell(`${node.name} dies ${isEffective ? 'after' : 'before'} call ${call} from now`)
      node.process.life.endAt(call, isEffective)
    },
    loseDisk: async () => {
      if (!plot.losesDisks) return
      const node = random.pick([...nodes.values()])
      const isCopied = copies.has(node.name)
      if (random.fraction() < (isCopied ? 0.3 : 0.6)) {
        tell(`copy the disk of ${node.name}`)
        copies.set(node.name, await node.disk.copy())
        return
      }
      await loseDiskOf(node)
    },
    fillDisk: async () => {
      if (!plot.fillsDisks) return
      const node = random.pick([...nodes.values()])
      const after = node.disk.isFull ? Number.POSITIVE_INFINITY : random.below(BATCHES_AHEAD)
      node.disk.isFull = false
      node.disk.fullAfter = after
      tell(
        `the disk of ${node.name} ${after < BATCHES_AHEAD ? `takes ${after} batches` : 'has space'}`,
      )
    },
    moveClock: async () => {
      if (!plot.movesClocks) return
      const node = random.pick([...nodes.values()])
      const jump = random.pick(JUMPS_MS) * (random.fraction() < 0.5 ? -1 : 1)
      setClock(node, random.fraction() < 0.3 ? 0 : jump)
      tell(`the clock of ${node.name} is ${node.clockOffsetMs / SECOND_MS} s off`)
    },
    changeTopology: async () => {
      if (!plot.changesTopology) return
      const isBehind = (node: SimNode) => node.topology !== world.topology
      if (![...nodes.values()].some(isBehind) || random.fraction() < 0.3) makeNextFile(world)
      for (const node of nodes.values()) {
        if (!isBehind(node) || random.fraction() < 0.5) continue
        await changeNode(world, node)
        await advance(world, random.below(SECOND_MS))
      }
    },
    heal: async () => {
      hub.options.dropRate = 0
      hub.options.corruptRate = 0
      for (const node of nodes.values()) {
        setClock(node, 0)
        node.disk.isFull = false
        node.disk.fullAfter = Number.POSITIVE_INFINITY
        node.process?.life.endAt(Number.POSITIVE_INFINITY, false)
      }
      for (const a of names) for (const b of names) if (a < b) setLink(a, b, true)
      for (const node of nodes.values()) {
        await changeNode(world, node)
        await startNode(world, node)
        await advance(world, random.below(SECOND_MS))
      }
    },
  }
}

const WHOLE = { index: true, blobs: true }
const ONLY_INDEX = { index: true, blobs: false }

function describe({ index, blobs }: typeof WHOLE): string {
  return [index ? 'the index' : '', blobs ? 'the blobs' : ''].filter((part) => part).join(' and ')
}

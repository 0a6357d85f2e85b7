/** Bugs to plant in the real code, one at a time: each breaks a promise that the simulation must see broken. */
import type { Choice } from './seeds.ts'

export interface Mutation {
  /** The bug, as its effect. */
  readonly what: string
  /** Path in the project. */
  readonly file: string
  /** Stands in the file once. */
  readonly from: string
  readonly to: string
  /** What it takes for the bug to do harm: the seeds have these faults, and run this topology. */
  readonly faults: Choice
}

/** What a guard remembers goes with its disk, and a day is over when a clock says so. */
const GUARDED: Choice = {
  realm: 'guarded',
  losesDisks: false,
  movesClocks: false,
  changesTopology: false,
}

export const MUTATIONS: readonly Mutation[] = [
  {
    what: 'of two concurrent pushes the earlier one wins',
    file: 'src/record/history.ts',
    from: 'if (a.record.time !== b.record.time) return b.record.time - a.record.time',
    to: 'if (a.record.time !== b.record.time) return a.record.time - b.record.time',
    faults: { realm: 'mesh' },
  },
  {
    what: 'of concurrent records one is dropped',
    file: 'src/record/history.ts',
    from: 'for (const writer of namesOf(all).slice(0, MAX_NAMED)) {',
    to: 'for (const writer of namesOf(all).slice(0, 1)) {',
    faults: { realm: 'mesh' },
  },
  {
    what: 'a record is signed without saying what its author has seen',
    file: 'src/record/author.ts',
    from: 'const seen = contextOf(history)',
    to: 'const seen = contextOf(history.slice(1))',
    faults: {},
  },
  {
    what: 'the position in a feed moves before what it passes is stored',
    file: 'src/gossip/feed-reader.ts',
    from: "    await receiver.receive(taken, { via: 'feed', from: node }, (tx, leftOut) => {",
    to: "    await index.transact((tx) => tx.put(CURSOR, peer, cursor))\n    await receiver.receive(taken, { via: 'feed', from: node }, (tx, leftOut) => {",
    faults: { fillsDisks: true, losesDisks: false },
  },
  {
    what: 'the feed shows a neighbour what no link lets through',
    file: 'src/gossip/feed-server.ts',
    from: 'if (await passes(entry, filter)) {',
    to: 'if (entry.history.length > 0) {',
    faults: { realm: 'hierarchical' },
  },
  {
    what: 'a reader whose position the sender has never given out is not begun again',
    file: 'src/storage/ledger.ts',
    from: 'if (position === undefined || at === -1) return 0',
    to: 'if (position === undefined) return 0\n      if (at === -1) return position.number',
    faults: { losesDisks: true, dropRate: 0.9 },
  },
  {
    what: 'a known record is passed on again',
    file: 'src/gossip/listener.ts',
    from: "if (verdict.kind === 'admitted') return !isKnown(verdict.signed)",
    to: "if (verdict.kind === 'admitted') return true",
    faults: { realm: 'diamond', fillsDisks: false, movesClocks: false, slowMs: 0 },
  },
  {
    what: 'a record is announced on the topic that brought it',
    file: 'src/gossip/announcer.ts',
    from: "if (arrival.via === 'gossip' && arrival.topic === topic) continue",
    to: '',
    faults: { realm: 'mesh', fillsDisks: false, movesClocks: false, slowMs: 0 },
  },
  {
    what: 'an image is shown though some of its blobs did not come',
    file: 'src/worker/phases.ts',
    from: 'else missing.push(blob)',
    to: 'else if (stat !== undefined) missing.push(blob)',
    faults: {},
  },
  {
    what: 'a key that has news while others are looked at is forgotten',
    file: 'src/worker/dispatcher.ts',
    from: 'waiting.add(keyText(key))',
    to: 'if (running === undefined) waiting.add(keyText(key))',
    faults: {},
  },
  {
    what: 'a delete is applied at a node that is no writer',
    file: 'src/planner/planner.ts',
    from: "if (isWriter(repository)) return { kind: 'drop', key }",
    to: "return { kind: 'drop', key }",
    faults: {},
  },
  {
    what: 'a delete is not applied at a writer that hears of it',
    file: 'src/planner/planner.ts',
    from: "if (isWriter(repository)) return { kind: 'drop', key }",
    to: '',
    faults: { realm: 'mesh' },
  },
  {
    what: 'a delete is applied before its grace is over',
    file: 'src/planner/delete-states.ts',
    from: "if (dueAtMs > nowMs) return 'in-grace'",
    to: '',
    faults: { realm: 'fading', movesClocks: false },
  },
  {
    what: 'a delete is forgotten while its grace is not over',
    file: 'src/worker/dispatcher.ts',
    from: "if (plan.kind === 'drop-later') dueKeys.note(key.repository, plan.dueAtMs)",
    to: '',
    faults: { realm: 'fading' },
  },
  {
    what: 'a delete takes one of the last tags of a repository',
    file: 'src/planner/delete-states.ts',
    from: "if (kept.has(tag)) return 'kept-last'",
    to: '',
    faults: { realm: 'fading' },
  },
  {
    what: 'more deletes go at once than a guard lets through',
    file: 'src/planner/delete-states.ts',
    from: "return isHeldUp || isCrowded(guard, dueAtMs) ? 'held-up' : 'due'",
    to: "return 'due'",
    faults: GUARDED,
  },
  {
    what: 'what a guard let go before counts for nothing',
    file: 'src/planner/delete-states.ts',
    from: 'const times = [...takenAtMs, ...guarded.map(',
    to: 'const times = [...guarded.map(',
    faults: GUARDED,
  },
  {
    what: 'it is not noted which deletes a person let through',
    file: 'src/storage/delete-rows.ts',
    from: 'await putAll(CONFIRMED, repository, recordIds)',
    to: '',
    faults: GUARDED,
  },
  {
    what: 'a record of somebody who is no writer counts',
    file: 'src/gossip/admission.ts',
    from: 'if (!mayWrite(topology, writer, record.repository, timeMs)) {',
    to: 'if (writer === undefined) {',
    faults: { isAttacked: true },
  },
  {
    what: 'a node that is no writer takes pushes',
    file: 'src/topology/origins.ts',
    from: 'if (writers.includes(self)) return undefined',
    to: 'if (writers.length > 0) return undefined',
    faults: { isAttacked: true },
  },
  {
    what: 'a record of another realm counts',
    file: 'src/gossip/admission.ts',
    from: 'if (record.realm !== topology.realm) {',
    to: 'if (record.realm === undefined) {',
    faults: { isAttacked: true },
  },
  {
    what: 'only a neighbour that is known to hold an image is asked, and a restart forgets who is known',
    file: 'src/peers/source-ranking.ts',
    from: '.filter(({ node, filter }) => neighbours.isUp(node) && filter.reads(repository))',
    to: '.filter(({ node }) => neighbours.isUp(node) && known.has(node))',
    faults: {},
  },
  {
    what: 'a parked record is merged into the clock',
    file: 'src/gossip/receiver.ts',
    from: "    if (outcome === 'parked' && reason === 'future') {",
    to: "    if (reason === 'future') logicalClock.observe(signed.record.time)\n    if (outcome === 'parked' && reason === 'future') {",
    faults: { movesClocks: true, isClockBlind: true, realm: 'mesh', stepMs: 3_000 },
  },
  {
    what: 'a parked record is not looked at when its time has come',
    file: 'src/gossip/receiver.ts',
    from: "unpark: () => lookAt(waiting(), 'due'),",
    to: 'unpark: async () => {},',
    faults: { movesClocks: true },
  },
  {
    what: 'until its process ends a node holds what the file says that it started with',
    file: 'src/node/core.ts',
    from: 'const demands = demandsOf(topology, self)',
    to: 'const { demands } = Object.assign(store, { demands: store.demands ?? demandsOf(topology, self) })',
    faults: { changesTopology: true },
  },
  {
    what: 'after a change of the topology at the reader a feed is read on from where it stood',
    file: 'src/gossip/feed-reader.ts',
    from: 'if (ours !== own.hash) return undefined',
    to: '',
    faults: { changesTopology: true, losesDisks: false },
  },
  {
    what: 'after a change of the topology at the sender a feed is given on from where it stood',
    file: 'src/gossip/feed-server.ts',
    from: 'position?.filter === filter.hash ? ledger.resume(position) : 0',
    to: 'position === undefined ? 0 : ledger.resume(position)',
    faults: { changesTopology: true, losesDisks: false },
  },
  {
    what: 'a node takes what the file of its neighbour lets through and its own does not',
    file: 'src/gossip/admission.ts',
    from: "(verdict) => verdict.kind === 'invalid' || own.reads(verdict.signed.record.repository),",
    to: '(verdict) => verdict.kind !== undefined || own.isEmpty,',
    faults: { changesTopology: true },
  },
  {
    what: 'nodes that run different files meet on the topics of links that are not the same',
    file: 'src/topology/groups.ts',
    from: 'const topic = topics.get(group) ?? topicOf(topology, group)',
    to: 'const topic = group.id',
    faults: { changesTopology: true, realm: 'split' },
  },
  {
    what: 'a flight is not joined: two jobs fetch one layer',
    file: 'src/transfer/flights.ts',
    from: 'const running = flights.get(name)',
    to: "const running = flights.get('another')",
    faults: { collects: false, losesDisks: false },
  },
]

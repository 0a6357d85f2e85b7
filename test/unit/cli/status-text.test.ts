import { expect, test } from 'vitest'
import type { StatusView } from '../../../src/admin/views.ts'
import { statusText } from '../../../src/cli/status-text.ts'
import { createCounters } from '../../../src/node/counters.ts'

const START_MS = Date.parse('2026-01-02T03:04:05.000Z')

const STATUS: StatusView = {
  node: 'eu',
  version: '0.1.0',
  peerId: '12D3KooW',
  realm: 'shops',
  generation: 3,
  topologyHash: 'abcdef0123456789',
  topology: { isSigned: true },
  endpoint: '',
  startedAtMs: START_MS,
  isReady: true,
  time: { offsetMs: 0, sources: [] },
  feed: { epoch: 'a', head: 12 },
  neighbours: [
    { name: 'hub', state: 'up', sinceMs: START_MS, isSource: true, limit: 8_000_000 },
    { name: 'us', state: 'down', sinceMs: START_MS, isSource: false, lastError: 'timed out' },
  ],
  jobs: { running: 2, waiting: 1 },
  paused: [{ scope: 'link', name: 'hub', sinceMs: START_MS }],
  counters: {
    recordsStored: 12,
    recordsRefused: 1,
    recordsParked: 0,
    conflicts: 0,
    announcementsPublished: 5,
    blobsFetched: 34,
    bytesFetched: 1_200_000_000,
    blobsDamaged: 0,
    blobsRepaired: 0,
    peersCutOff: 0,
    strangersRefused: 2,
  },
}

test('a status is a table by matter', () => {
  expect(statusText(STATUS, START_MS + 11_000_000)).toBe(
    `
node      eu of realm shops, entrepot 0.1.0
state     ready
peer id   12D3KooW
topology  runs generation 3, signed by the owner, abcdef012345
feed      12 changes
jobs      2 running, 1 waiting
paused    link hub since 2026-01-02T03:04:05.000Z
neighbours
  hub  up    since 2026-01-02T03:04:05.000Z  source  at most 8Mbit/s
  us   down  since 2026-01-02T03:04:05.000Z                               timed out
since the start, 2026-01-02T03:04:05.000Z (3h 3m)
  records  12 stored, 1 refused, 0 parked, 0 in conflict, 5 announced
  blobs    34 fetched, 1.2 GB in all, 0 damaged, 0 repaired
  peers    0 neighbours cut off, 2 strangers refused`.trimStart(),
  )
})

test('no line is longer than a terminal of 100 columns, and none has a name of the program in it', () => {
  for (const line of statusText(STATUS, START_MS).split('\n')) {
    expect(line.length).toBeLessThanOrEqual(100)
    expect(line).not.toMatch(/[a-z][A-Z][a-z]+ \d|\d [a-z]+[A-Z]/)
  }
})

test('each counter of a node has its words, and one of a later node is told as it is', () => {
  const events = { on: () => () => {}, onAny: () => () => {}, emit: () => {} }
  const counters = { ...createCounters({ events })(), announcementsPublished: 0 }
  expect(statusText({ ...STATUS, counters }, START_MS)).not.toContain('other')
  const more = { ...counters, tagsPolished: 3 }
  expect(statusText({ ...STATUS, counters: more }, START_MS)).toContain('other    3 tagsPolished')
})

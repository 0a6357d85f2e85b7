import { describe, expect, test } from 'vitest'
import { detailText, historyText, jobsText, pausesText } from '../../../src/cli/jobs-text.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed } from '../../helpers/writers.ts'
import { jobView } from './job-views.ts'

const waiting = jobView('v1', {
  state: 'waiting',
  cause: 'no-holder',
  reason: 'hub: not there',
  attempts: 3,
  nextTryAtMs: START_MS + 90_000,
  windows: ['0 1 * * * for 1h in UTC'],
})

describe('cli / jobs as text', () => {
  test('a list has a row for each, with what it waits for', () => {
    const running = jobView('v2', {
      state: 'running',
      phase: 'blobs',
      bytesDone: 5,
      bytesTotal: 10,
      bytesPerSecond: 2_000_000,
      from: ['hub'],
    })
    const [head, first, second] = jobsText([waiting, running], START_MS).split('\n')
    expect(head).toMatch(/^STATE +BYTES +RATE +TRIES +NEXT +JOB/)
    expect(first).toMatch(/^waiting +- +- +3 +1m 30s +app@sha256:\w+ +v1 +hub: not there$/)
    expect(second).toMatch(/^running \(blobs\) +5 B\/10 B +2\.0 MB\/s from hub +0 +- /)
  })

  test('one job tells its next try, what asks for it, whom it asked and its last lines', () => {
    const asked = {
      atMs: START_MS,
      node: 'hub',
      digest: digestNamed('v1'),
      outcome: 'absent',
    } as const
    const log = [{ atMs: START_MS, text: 'try 3 begins' }]
    const text = detailText({ ...waiting, asked: [asked], log }, START_MS)
    for (const part of [
      /next try +2026-01-01T00:01:30\.000Z \(1m 30s\)/,
      /policies +all/,
      /windows +0 1 \* \* \*/,
      /asked\n {2}2026\S+ +hub +absent +sha256:/,
      /log\n {2}2026\S+ +try 3 begins/,
    ]) {
      expect(text).toMatch(part)
    }
  })

  test('what ended says how and why and how long it took', () => {
    const gone = jobView('v1', {
      state: 'gone',
      cause: 'no-holder',
      reason: 'nobody has it',
      changedAtMs: START_MS + 61_000,
    })
    expect(historyText([gone])).toMatch(/gone \(no-holder\) +1m .* nobody has it$/)
  })

  test('what is paused says since when', () => {
    expect(pausesText([])).toBe('nothing is paused')
    const text = pausesText([
      { scope: 'all', sinceMs: START_MS },
      { scope: 'link', name: 'hub', sinceMs: START_MS },
    ])
    expect(text).toMatch(/^all +2026-01-01T00:00:00\.000Z$/m)
    expect(text).toMatch(/^link hub +2026/m)
  })
})

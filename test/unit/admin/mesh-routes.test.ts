import { describe, expect, test } from 'vitest'
import { CONVERGENCE } from '../../../src/admin/convergence-view.ts'
import { TOPOLOGY } from '../../../src/admin/topology-view.ts'
import { WHY } from '../../../src/admin/why-view.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createAdminParts, jsonOf, REPOSITORY, START_MS } from './admin-parts.ts'

const [ONE, TWO] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'))]
const HUB = 'hub' as NodeName
const { signal } = new AbortController()
const LAN = '192.0.2.7'

type Parts = Awaited<ReturnType<typeof createAdminParts>>

async function why({ ask }: Parts, reference = 'v1', repository: string = REPOSITORY) {
  const query = new URLSearchParams({ repository, reference })
  return WHY.parse(await jsonOf(ask(`/api/v1/why?${query.toString()}`)))
}

/** Time passes, milliseconds. */
async function pass({ clock }: Parts, ms: number): Promise<void> {
  const until = clock.now() + ms
  const waited = clock.sleep(ms)
  while (clock.now() < until) if (!clock.step(until)) throw new Error('nobody waits any more')
  await waited
}

/** The newest record of v1 names ONE, the node wants it and has a job for it. */
async function wanting(parts: Parts): Promise<string> {
  await parts.know('v1', ONE)
  const key = { repository: REPOSITORY, reference: 'v1' as never }
  parts.queue.add({ kind: 'pull', key, digest: ONE, recordId: 'r' })
  return `${REPOSITORY}@${ONE}`
}

describe('admin / topology and convergence', () => {
  test('the nodes of the mesh are told with their endpoints, and who answers', async () => {
    const { ask } = await createAdminParts()
    const view = TOPOLOGY.parse(await jsonOf(ask('/api/v1/topology')))
    expect(view).toMatchObject({ node: 'edge', realm: 'pair', generation: 3 })
    expect(view.nodes).toEqual([
      { name: 'hub', endpoint: 'http://127.0.0.1:5000' },
      { name: 'edge' },
    ])
  })

  test('what is to do and how far was read is told', async () => {
    const parts = await createAdminParts()
    await wanting(parts)
    parts.queue.hold(parts.addJob('held'))
    parts.reading.read(HUB, { epoch: 'e', through: 3, head: 4 })
    parts.reading.waits(HUB, 1)
    const view = CONVERGENCE.parse(await jsonOf(parts.ask('/api/v1/convergence')))
    expect(view).toMatchObject({
      node: 'edge',
      isReady: true,
      feed: { epoch: 'test', head: 1 },
      jobs: { open: 1, waitingForWindow: 0, paused: 0, held: 1, oldestMs: START_MS },
      neighbours: [{ name: 'hub', state: 'down', isSource: true, read: { through: 3, head: 4 } }],
      readers: [{ node: 'hub', through: 1, isWaiting: true }],
    })
  })

  test('what waits for its window and what is paused is told apart from what is late', async () => {
    const parts = await createAdminParts()
    const convergence = async () =>
      CONVERGENCE.parse(await jsonOf(parts.ask('/api/v1/convergence'))).jobs
    parts.addJob('scheduled', { policies: ['night'] })
    const job = await parts.queue.take({ signal: new AbortController().signal })
    const windowOpensMs = START_MS + 3_600_000
    parts.queue.defer(job, { kind: 'window', reason: 'not yet', untilMs: windowOpensMs })
    parts.addJob('late', { policies: ['day'] })
    const none = { open: 2, waitingForWindow: 1, windowOpensMs, paused: 0, held: 0 }
    expect(await convergence()).toEqual({ ...none, oldestMs: START_MS })
    await parts.pauses.pause({ scope: 'policy', name: 'day' })
    expect(await convergence()).toEqual({ ...none, paused: 1 })
    await parts.pauses.pause({ scope: 'all' })
    expect(await convergence()).toEqual({ open: 2, waitingForWindow: 0, paused: 2, held: 0 })
  })

  test('lag is the age of the oldest record that a policy wants and that is not held', async () => {
    const parts = await createAdminParts()
    const lagNow = async () => CONVERGENCE.parse(await jsonOf(parts.ask('/api/v1/convergence'))).lag
    expect(await lagNow()).toEqual([
      { policy: 'all', records: 0, seconds: 0, objectiveSeconds: 60, isMet: true },
    ])
    await wanting(parts)
    await pass(parts, 90_000)
    expect(await lagNow()).toEqual([
      { policy: 'all', records: 1, seconds: 90, objectiveSeconds: 60, isMet: false },
    ])
    // Overtaken: the job runs on for what nobody asks for any more.
    await parts.know('v1', TWO)
    expect(await lagNow()).toMatchObject([{ records: 0, seconds: 0 }])
  })

  test('who may not read gets none of it', async () => {
    const { ask, access } = await createAdminParts({ anonymous: 'none' })
    for (const path of ['/api/v1/topology', '/api/v1/convergence', '/metrics']) {
      expect((await ask(path, { address: LAN })).status, path).toBe(401)
      const headers = { authorization: `Bearer ${access.issueToken(HUB)}` }
      expect((await ask(path, { headers })).status, path).toBe(403)
    }
  })
})

describe('admin / why', () => {
  test('an image that is here says who pushed it and which link brings it', async () => {
    const parts = await createAdminParts()
    await parts.know('v1', ONE)
    await parts.hold('v1', ONE)
    const answer = await why(parts)
    expect(answer).toMatchObject({ verdict: 'held', held: ONE, wanted: ONE })
    expect(answer.sentence).toMatch(
      /^edge holds demo\/hello:v1: put .* by hub at 2026-.*links bring it from hub \(all\)/,
    )
  })

  test('an image that nobody told of says by which way it would come, and which link is down', async () => {
    const answer = await why(await createAdminParts())
    expect(answer.verdict).toBe('not-heard-of')
    expect(answer.sentence).toMatch(/come by hub -> edge; not connected: hub, unreachable since/)
  })

  test('an image that no link lets through says which policy bars it', async () => {
    const answer = await why(await createAdminParts(), 'v1', 'other/app')
    expect(answer.verdict).toBe('filtered')
    expect(answer.sentence).toContain(
      'the link hub -> edge filters it out (policy all does not match repository other/app)',
    )
    expect(answer.path).toMatchObject([{ from: 'hub', to: 'edge', passing: [] }])
  })

  test('a transfer that runs says its share, from whom and how fast', async () => {
    const parts = await createAdminParts()
    await wanting(parts)
    const job = await parts.queue.take({ signal })
    parts.queue.note(job, { phase: 'blobs', bytesDone: 43, bytesTotal: 100 })
    const transfer = parts.transfers.begin({ node: HUB, repository: REPOSITORY, digest: TWO })
    transfer.add(4_000_000)
    await pass(parts, 2_000)
    const answer = await why(parts)
    expect(answer.verdict).toBe('fetching')
    expect(answer.sentence).toContain('43 % of 100 B from hub at 2.0 MB/s')
  })

  test('one that waits says for whom, since when, or what went wrong and when the next try is', async () => {
    const parts = await createAdminParts()
    await wanting(parts)
    expect((await why(parts)).verdict).toBe('queued')
    const fail = async (kind: 'no-holder' | 'failed' | 'local-fault', reason: string) => {
      parts.queue.defer(await parts.queue.take({ signal }), { kind, reason })
      const answer = await why(parts)
      parts.queue.wakeAll()
      return answer
    }
    parts.holders.note(HUB, REPOSITORY, ONE)
    const down = await fail('no-holder', 'no source is connected')
    expect(down).toMatchObject({ verdict: 'waiting', holders: [{ node: 'hub', state: 'down' }] })
    expect(down.sentence).toContain('its holder hub, unreachable since 2026-')
    const facts = { generation: 3, topologyHash: '', epoch: 'e', token: 't' }
    parts.neighbours.greeted(HUB, facts)
    expect((await fail('no-holder', 'hub: not there')).sentence).toMatch(
      /waits for somebody who has all of demo\/hello:v1: hub: not there; .*next try in/,
    )
    expect((await fail('failed', 'hub: cut')).sentence).toMatch(/tried .* 3 times: hub: cut; next/)
    expect((await fail('local-fault', 'ENOSPC')).sentence).toMatch(/could not keep .*: ENOSPC/)
  })

  test('one that a pause keeps back says which', async () => {
    const parts = await createAdminParts()
    const id = await wanting(parts)
    await parts.pauses.pause({ scope: 'all' })
    const answer = await why(parts)
    expect(answer.verdict).toBe('on-hold')
    expect(answer.sentence).toMatch(/all transfers are paused by an operator .*jobs pauses/)
    await parts.pauses.resume({ scope: 'all' })
    parts.queue.hold(id, 'pause')
    expect((await why(parts)).sentence).toContain(`jobs resume '${id}'`)
  })

  test('one that a person holds says how it goes on; a former one that is served is told', async () => {
    const parts = await createAdminParts()
    await parts.know('v1', TWO)
    await parts.hold('v1', TWO)
    const id = await wanting(parts)
    parts.queue.hold(id)
    const answer = await why(parts)
    expect(answer).toMatchObject({ verdict: 'on-hold', held: TWO, wanted: ONE })
    expect(answer.sentence).toMatch(/jobs retry .*serves the former one meanwhile/)
  })

  test('what was deleted says so, and whether it is still served', async () => {
    const parts = await createAdminParts()
    await parts.know('v1', ONE)
    await parts.know('v1', undefined)
    expect(await why(parts)).toMatchObject({ verdict: 'deleted' })
    await parts.hold('v1', ONE)
    expect(await why(parts)).toMatchObject({ verdict: 'deleted-here-still-served' })
  })

  test('what was here before the node and has no record says so', async () => {
    const parts = await createAdminParts()
    await parts.hold('v1', ONE)
    expect((await why(parts)).verdict).toBe('adopted')
  })

  test('of another node the topology is asked; names that are none are refused', async () => {
    const { ask } = await createAdminParts()
    const of = (node: string, reference = 'v1') =>
      ask(`/api/v1/why?repository=${REPOSITORY}&reference=${reference}&node=${node}`)
    const answer = WHY.parse(await jsonOf(of('hub')))
    expect(answer.sentence).toMatch(/^hub may write .* itself/)
    expect((await of('nobody')).status).toBe(404)
    expect((await of('hub', '..')).status).toBe(400)
  })
})

describe('admin / metrics', () => {
  test('a scrape tells counts since the start and what is now', async () => {
    const parts = await createAdminParts()
    await wanting(parts)
    const job = await parts.queue.take({ signal })
    parts.queue.defer(job, { kind: 'failed', reason: 'cut' })
    const [a, b] = [parts.addJob('a'), parts.addJob('b')]
    parts.queue.finish(await parts.queue.take({ signal }))
    expect([a, b]).toHaveLength(2)
    const events = parts.events
    events.emit({ kind: 'blob-fetched', digest: ONE, sizeBytes: 7, from: HUB })
    events.emit({ kind: 'feed-difference', node: HUB, keys: [], records: 3 })
    events.emit({ kind: 'record-refused', reason: 'x', from: HUB })
    const answer = await parts.ask('/metrics')
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    const lines = (await answer.text()).split('\n')
    for (const line of [
      'entrepot_jobs{state="waiting"} 1',
      'entrepot_jobs{state="queued"} 1',
      'entrepot_jobs_ended_total{outcome="done"} 1',
      'entrepot_job_deferrals_total{cause="failed"} 1',
      'entrepot_fetched_bytes_total{source="hub"} 7',
      'entrepot_feed_differences_total{neighbour="hub"} 3',
      'entrepot_records_refused_total 1',
      'entrepot_lag_records{policy="all"} 1',
      'entrepot_lag_objective_seconds{policy="all"} 60',
      'entrepot_neighbour_up{neighbour="hub"} 0',
      'entrepot_feed_head 1',
    ]) {
      expect(lines).toContain(line)
    }
    expect(lines.some((line) => line.startsWith('nodejs_eventloop_lag_p99_seconds '))).toBe(true)
  })

  test('two nodes in one process do not share what they count', async () => {
    const [one, two] = [await createAdminParts(), await createAdminParts()]
    one.events.emit({ kind: 'record-refused', reason: 'x', from: HUB })
    expect(await (await two.ask('/metrics')).text()).toContain('entrepot_records_refused_total 0')
  })
})

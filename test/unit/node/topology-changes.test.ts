import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { membershipOf, whyKeyless, whyRestart } from '../../../src/node/membership.ts'
import { openTopologyFiles, topologyDirectory } from '../../../src/node/topology-files.ts'
import { sealTopology } from '../../../src/node/topology-seal.ts'
import { chooseTopology } from '../../../src/node/topology-start.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { HEIR, OWNER, runningOf, sealOf, setUp, textOf } from './changes-rig.ts'

describe('node / topology changes', () => {
  test('a signed file is kept and offered before it runs, and told of', async () => {
    const { directory, files, changes, told, steps } = await setUp()
    await using _ = directory
    expect(await changes.apply(sealOf(textOf(2)))).toEqual({ kind: 'adopted', generation: 2 })
    expect(steps).toEqual(['offer', 'replace 2'])
    expect(changes.running().topology.generation).toBe(2)
    expect(files.list().map(({ generation }) => generation)).toEqual([1, 2])
    expect(changes.sealed().map(({ generation }) => generation)).toEqual([2])
    expect(told).toMatchObject([{ kind: 'topology-adopted', generation: 2, from: 'apply' }])
    expect(await changes.apply(sealOf(textOf(2)))).toEqual({ kind: 'known', generation: 2 })

    const again = await openTopologyFiles(directory.path)
    const [, kept] = again.list()
    expect(kept?.text).toBe(textOf(2))
    expect(kept?.sealed && Buffer.from(kept.sealed.signature).toString('hex')).toBe(
      Buffer.from(sealOf(textOf(2)).signature).toString('hex'),
    )
  })

  test.each([
    ['a stranger', sealOf(textOf(2), HEIR), 'SIGNATURE_INVALID', /the owner in the topology/],
    [
      'a changed text',
      { ...sealOf(textOf(2)), text: textOf(2, { leaves: 'lon' }) },
      'SIGNATURE_INVALID',
      /does not fit/,
    ],
    [
      'a changed generation',
      { ...sealOf(textOf(2)), generation: 3 },
      'SIGNATURE_INVALID',
      /does not fit/,
    ],
    [
      'a wrong generation, signed',
      sealTopology(OWNER, { realm: 'demo', generation: 9, text: textOf(2) }),
      'SIGNATURE_INVALID',
      /signed as generation 9/,
    ],
    ['another realm', sealOf(textOf(2, { realm: 'other' })), 'REALM_OTHER', /of realm "other"/],
    [
      'another realm within',
      sealTopology(OWNER, { realm: 'demo', generation: 2, text: textOf(2, { realm: 'other' }) }),
      'REALM_OTHER',
      /of realm "other"/,
    ],
    [
      'the same generation',
      sealOf(textOf(1, { leaves: 'lon' })),
      'GENERATION_OLD',
      /another file of that generation; write metadata.generation: 2/,
    ],
    [
      'no topology',
      sealTopology(OWNER, { realm: 'demo', generation: 2, text: 'nodes: 1' }),
      'TOPOLOGY_INVALID',
      /not valid: 1:/,
    ],
    [
      'a test that fails',
      sealOf(
        textOf(2, {
          leaves: 'lon',
          more: 'tests: [{ name: to par, from: hq, image: "a:v1", present: [par] }]',
        }),
      ),
      'TESTS_FAILED',
      /to par/,
    ],
  ])('%s is refused, and nothing changes', async (_name, sealed, code, reason) => {
    const { directory, files, changes, told, steps } = await setUp()
    await using _ = directory
    const outcome = await changes.apply(sealed)
    expect(outcome).toMatchObject({ kind: 'refused', code, reason: expect.stringMatching(reason) })
    expect(steps).toEqual([])
    expect(files.list()).toEqual([])
    expect(changes.running().topology.generation).toBe(1)
    expect(changes.rejected()).toMatchObject({
      from: 'apply',
      reason: expect.stringMatching(reason),
    })
    expect(told).toHaveLength(1)
    // Told once, however often it comes.
    await changes.apply(sealed)
    expect(told).toHaveLength(1)
  })

  test('without an owner nobody can apply, and it is said what to do; the operator of the machine can', async () => {
    const { directory, changes } = await setUp(textOf(1, { owner: undefined }))
    await using _ = directory
    expect(await changes.apply(sealOf(textOf(2)))).toMatchObject({
      code: 'OWNER_UNKNOWN',
      reason: expect.stringContaining('SIGHUP'),
    })
    expect(await changes.reload(textOf(2))).toEqual({ kind: 'adopted', generation: 2 })
    // His word is not given to others, until it comes signed.
    expect(changes.sealed()).toEqual([])
    expect(await changes.apply(sealOf(textOf(2)))).toEqual({ kind: 'known', generation: 2 })
    expect(changes.sealed().map(({ generation }) => generation)).toEqual([2])
    expect(await changes.apply(sealOf(textOf(3)))).toEqual({ kind: 'adopted', generation: 3 })
  })

  test('of the files of a neighbour the last one runs, by the owners of those between', async () => {
    const { directory, files, changes, steps } = await setUp()
    await using _ = directory
    const chain = [
      sealOf(textOf(2, { owner: HEIR })),
      sealOf(textOf(3, { owner: HEIR, leaves: 'lon' }), OWNER),
      sealOf(textOf(4, { owner: HEIR }), HEIR),
    ]
    await changes.takeFiles(chain, 'lon')
    expect(changes.running().topology.generation).toBe(4)
    expect(steps).toEqual(['offer', 'replace 4'])
    expect(files.list().map(({ generation }) => generation)).toEqual([1, 2, 4])
    // What is older comes again and again: that is no fault of anybody.
    await changes.takeFiles(chain, 'lon')
    expect(changes.rejected()).toBeUndefined()
  })

  test('what neighbours give before the node is ready is looked at when it is', async () => {
    const { directory, changes } = await setUp(textOf(1), { isOpen: false })
    await using _ = directory
    expect(await changes.apply(sealOf(textOf(2)))).toMatchObject({ code: 'NODE_STARTING' })
    const taken = changes.takeFiles([sealOf(textOf(2))], 'lon')
    expect(changes.running().topology.generation).toBe(1)
    changes.open()
    await taken
    expect(changes.running().topology.generation).toBe(2)
  })

  test('what cannot be run is forgotten, and the former one runs on', async () => {
    const { directory, files, changes, state, clock } = await setUp()
    await using _ = directory
    state.fails = true
    expect(await changes.apply(sealOf(textOf(2)))).toMatchObject({ code: 'NOT_RUN' })
    expect(changes.running().topology.generation).toBe(1)
    expect(files.list().map(({ generation }) => generation)).toEqual([1])
    // A neighbour that gives it again and again must not keep the node from its work.
    state.fails = false
    await changes.takeFiles([sealOf(textOf(2))], 'lon')
    expect(changes.running().topology.generation).toBe(1)
    await clock.advance(600_000)
    await changes.takeFiles([sealOf(textOf(2))], 'lon')
    expect(changes.running().topology.generation).toBe(2)
    state.unfit = 'this node has no disk'
    expect(await changes.apply(sealOf(textOf(3)))).toMatchObject({ code: 'NODE_UNFIT' })
    await changes.close()
    expect(await changes.reload(textOf(3))).toMatchObject({ code: 'NODE_STARTING' })
  })
})

describe('node / topology files', () => {
  test('the last sixteen are kept, and a broken one counts for nothing and is told', async () => {
    await using directory = await makeTemporaryDirectory()
    const files = await openTopologyFiles(directory.path)
    for (let generation = 1; generation <= 18; generation += 1) {
      await files.keep(runningOf(textOf(generation)))
    }
    const names = await readdir(topologyDirectory(directory.path))
    expect(names).toHaveLength(16)
    const path = join(topologyDirectory(directory.path), names.sort()[0] ?? '')
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100))
    const again = await openTopologyFiles(directory.path)
    expect(again.list().map(({ generation }) => generation)).toEqual(
      Array.from({ length: 15 }, (_, at) => at + 4),
    )
    expect(again.unreadable).toMatchObject([{ path }])
  })
})

describe('node / topology start', () => {
  const kept = (text: string) => {
    const { realm, generation } = runningOf(text).topology
    return { list: () => [{ realm, generation, text, peerIds: [] }] }
  }

  test('the newer of the file and what was taken up holds', () => {
    const start = (file: string, before: string) => chooseTopology(runningOf(file), kept(before))
    expect(chooseTopology(runningOf(textOf(1)), { list: () => [] })).toMatchObject({
      isAdopted: false,
    })
    expect(start(textOf(3), textOf(2))).toMatchObject({
      running: { topology: { generation: 3 } },
      isAdopted: false,
    })
    const adopted = start(textOf(1), textOf(2))
    expect(adopted).toMatchObject({ running: { topology: { generation: 2 } }, isAdopted: true })
    expect(adopted.refusal).toBeUndefined()
    expect(start(`${textOf(2)}# a comment`, textOf(2)).refusal).toBeUndefined()
    expect(start(textOf(2, { leaves: 'lon' }), textOf(2))).toMatchObject({
      running: { text: textOf(2) },
      refusal: expect.stringContaining('write metadata.generation: 3'),
    })
    expect(() => start(textOf(1, { realm: 'other' }), textOf(2))).toThrow(/realm "other"/)
  })
})

describe('node / membership', () => {
  const own = { self: 'par' as NodeName, peerId: peerIdOfName('par') }
  const { topology } = runningOf(textOf(1))
  const former = [
    { realm: 'demo', generation: 1, text: textOf(1), peerIds: ['lon', 'par'].map(peerIdOfName) },
  ]

  test('in the topology its nodes are members, and those of former ones are let in', () => {
    const stranger = { ...former[0], peerIds: ['gone'] } as (typeof former)[0]
    const { outside, isMember, isAllowed, contacts } = membershipOf(topology, own, [stranger])
    expect(outside).toBeUndefined()
    expect([isMember(peerIdOfName('lon')), isAllowed(peerIdOfName('lon'))]).toEqual([true, true])
    expect([isMember('gone'), isAllowed('gone')]).toEqual([false, true])
    expect([isMember('nobody'), isAllowed('nobody')]).toEqual([false, false])
    expect(contacts).toBe(topology)
  })

  test('a file that forgets the key of a node is unfit there; one that takes the node out is not', () => {
    const without = (text: string) => runningOf(textOf(2).replace(/ {2}par: .*\n/, text)).topology
    expect(whyKeyless(own, without('  par: {}\n'))).toContain(`write there: peerId: ${own.peerId}`)
    expect(whyKeyless(own, runningOf(textOf(2)).topology)).toBeUndefined()
    const lonOnly = textOf(2, { leaves: 'lon' }).replace(/ {2}par: .*\n/, '')
    expect(whyKeyless(own, runningOf(lonOnly).topology)).toBeUndefined()
  })

  test('who listens elsewhere by the next file has to be restarted, and nobody else', () => {
    const at = (endpoint: string) =>
      runningOf(textOf(2).replace('par: {', `par: { endpoint: "${endpoint}",`)).topology
    const [here, there] = [at('http://par:5000'), at('http://par:5001')]
    expect(whyRestart(own.self, here, there)).toMatch(/generation 2.*restart it/)
    expect(whyRestart(own.self, here, here)).toBeUndefined()
    expect(whyRestart('hq' as NodeName, here, there)).toBeUndefined()
  })

  test('outside nobody is a member, and those whom it knew are dialled', () => {
    const without = runningOf(
      textOf(2)
        .replace(/ {2}par: .*\n/, '')
        .replace('lon, par', 'lon'),
    )
    const { outside, isMember, contacts } = membershipOf(without.topology, own, former)
    expect(outside).toContain('node par is not in generation 2')
    expect(isMember(peerIdOfName('hq'))).toBe(false)
    expect(contacts.generation).toBe(1)
    const other = membershipOf(topology, { ...own, peerId: peerIdOfName('new') }, former)
    expect(other.outside).toContain('another key')
  })
})

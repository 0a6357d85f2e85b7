/** kill -9 leaves what the kernel has; a power cut does not. So the order of what is made durable is read off the kernel's calls. */
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { makeImage, type TestBlob } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { pushImage, putManifest } from '../helpers/registry-calls.ts'
import { canTrace, readTrace, type Syscall, traceTo } from '../helpers/syscalls.ts'

const CALLS = ['fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'write', 'writev']

/** A step that must be over before the next one begins. */
type Step = readonly [string, (call: Syscall) => boolean]

const hexOf = ({ digest }: TestBlob) => digest.replace('sha256:', '')
const isWrite = ({ name }: Syscall) => name === 'write' || name === 'writev'
const isRename = ({ name }: Syscall) => name.startsWith('rename')
const isIndexLog = ({ args }: Syscall) => /^\d+<[^>]*\/entrepot\/index\/\d+\.log>/.test(args)

const synced = (path: string): Step => [
  `fsync of ${path}`,
  ({ name, args }) => name.includes('sync') && args.includes(`<${path}>`),
]
const indexWrite = (text: string): Step => [
  `index batch with ${text}`,
  (call) => isWrite(call) && isIndexLog(call) && call.args.includes(text),
]
const indexSynced: Step = [
  'sync of the index',
  (call) => call.name.includes('sync') && isIndexLog(call),
]
const answered = (status: number, text = ''): Step => [
  `answer ${status} ${text}`,
  (call) => isWrite(call) && call.args.includes(`HTTP/1.1 ${status}`) && call.args.includes(text),
]

/** The steps were taken one after the other, each over before the next began. @returns the last */
function expectOrder(calls: readonly Syscall[], steps: readonly Step[]): Syscall {
  let last: Syscall | undefined
  let before = 'the beginning'
  for (const [what, matches] of steps) {
    const found = calls.find((call) => call.began > (last?.ended ?? -1) && matches(call))
    if (found === undefined) throw new Error(`no ${what} after ${before}`)
    last = found
    before = what
  }
  if (last === undefined) throw new Error('no steps')
  return last
}

/** The steps that gave the file at `path` its bytes and its name: nothing was written to it after its fsync. */
function placing(calls: readonly Syscall[], path: string): readonly Step[] {
  const rename = calls.find((call) => isRename(call) && call.args.includes(`"${path}"`))
  if (rename === undefined) throw new Error(`nothing was renamed to ${path}`)
  const [, from = ''] = /"([^"]*)"/.exec(rename.args) ?? []
  const lastWrite = calls.findLast((call) => isWrite(call) && call.args.includes(`<${from}>`))
  return [
    ['last write of its bytes', (call) => call === lastWrite],
    synced(from),
    ['rename', (call) => call === rename],
    synced(dirname(path)),
  ]
}

test.skipIf(!canTrace)(
  'bytes, name, directory and index are durable in this order before a push is acknowledged, the index before a delete is (needs strace)',
  async () => {
    await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
    const hq = mesh.node('hq')
    const trace = join(mesh.directory, 'trace')
    // Calls that libuv puts into a ring are not seen.
    await hq.start({ wrapper: traceTo(trace, CALLS), env: { UV_USE_IO_URING: '0' } })
    const image = makeImage('traced', { layers: 2, layerBytes: 3_000_000 })
    await pushImage(hq.url, 'demo/app', 'traced-tag', image)
    const registry = join(hq.dataDirectory, 'docker/registry/v2')
    await putManifest(hq.url, 'demo/app', 'kept-tag', image)
    const link = join(registry, 'repositories/demo/app/_manifests/tags/kept-tag/current/link')
    const gone = await fetch(`${hq.url}/v2/demo/app/manifests/traced-tag`, { method: 'DELETE' })
    expect(gone.status).toBe(202)
    await hq.stop()
    const calls = await readTrace(trace)

    for (const blob of [...image.blobs, image]) {
      const hex = hexOf(blob)
      const own = join(registry, 'blobs/sha256', hex.slice(0, 2), hex)
      const placed = placing(calls, join(own, 'data'))
      const acknowledged = [indexWrite(hex), indexSynced, answered(201, hex)]
      expectOrder(calls, [...placed, ...acknowledged])
      // The directory of the blob has a name too; the two are made durable side by side.
      expectOrder(calls, [...placed.slice(0, -1), synced(dirname(own)), ...acknowledged])
    }
    const pushed = expectOrder(calls, [answered(201, hexOf(image))])
    const later = calls.filter(({ began }) => began > pushed.ended)
    expectOrder(later, [indexWrite('traced-tag'), indexSynced, answered(202)])
    // Link files wait for nobody, and nobody for them: they are durable before the index forgets what it owes.
    const rename = calls.find((call) => isRename(call) && call.args.includes(`"${link}"`))
    const named: Step = ['rename of the link', (call) => call === rename]
    expectOrder(calls, [
      named,
      synced(link),
      synced(dirname(link)),
      indexWrite('pending'),
      indexSynced,
    ])
  },
)

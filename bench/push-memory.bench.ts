/** Resident memory of a node while a blob of 1 GiB is pushed to it and pulled from it. Run: node bench/push-memory.bench.ts [--json] */
import { createCipheriv } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createHasher } from '../src/oci/digest.ts'
import { startMesh } from '../test/helpers/mesh-process.ts'
import { peakResidentMiB, residentMiB } from './measure.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' } } })
const SIZE = 1024 ** 3
const CHUNK = 1024 ** 2

/** Incompressible bytes, made as they are sent. */
function* chunks(): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  for (let at = 0; at < SIZE; at += CHUNK) yield cipher.update(Buffer.alloc(CHUNK))
}

const hasher = createHasher()
for (const chunk of chunks()) hasher.update(chunk)
const digest = hasher.digest()

await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq'] })
const { url, pid = 0 } = mesh.node('hq')
const idle = residentMiB(pid)
const begun = await fetch(`${url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
const location = `${url}${begun.headers.get('location')}`
const pushStart = performance.now()
const body = ReadableStream.from(chunks())
await fetch(location, { method: 'PATCH', body, duplex: 'half' })
const done = await fetch(`${location}?digest=${digest}`, { method: 'PUT' })
if (done.status !== 201) throw new Error(`push ended with ${done.status}: ${await done.text()}`)
const pushSeconds = (performance.now() - pushStart) / 1000
const peakPush = peakResidentMiB(pid)
const pullStart = performance.now()
const answer = await fetch(`${url}/v2/demo/app/blobs/${digest}`)
let received = 0
for await (const chunk of answer.body ?? []) received += chunk.length
const pullSeconds = (performance.now() - pullStart) / 1000
if (received !== SIZE) throw new Error(`pulled ${received} bytes`)

const report = {
  idleMiB: Math.round(idle),
  peakDuringPushMiB: Math.round(peakPush),
  peakDuringPullMiB: Math.round(peakResidentMiB(pid)),
  pushMBperSecond: Math.round(SIZE / 1e6 / pushSeconds),
  pullMBperSecond: Math.round(SIZE / 1e6 / pullSeconds),
}
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else console.table(report)

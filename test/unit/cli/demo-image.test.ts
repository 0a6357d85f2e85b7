import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { extract } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { type DemoBlob, makeDemoImage } from '../../../src/cli/demo-image.ts'
import { makeHelloProgram } from '../../../src/cli/hello-program.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'

const PAYLOAD = 64 * 1024

async function filesOf(tar: Buffer) {
  const files = new Map<string, { mode: number | undefined; bytes: Buffer }>()
  const reader = extract()
  Readable.from([tar]).pipe(reader)
  for await (const entry of reader) {
    files.set(entry.header.name, { mode: entry.header.mode, bytes: await buffer(entry) })
  }
  return files
}

describe('cli / demo image', () => {
  test('it is an OCI image whose parts have the digests and sizes that name them', async () => {
    const image = await makeDemoImage({ payloadBytes: PAYLOAD })
    const parse = parseManifest(image.manifest.bytes, image.manifest.mediaType)
    if (parse.kind === 'invalid') throw new Error(parse.reason)
    const parts = new Map<string, DemoBlob>(image.blobs.map((blob) => [blob.digest, blob]))
    expect(parse.manifest.blobs).toHaveLength(3)
    expect(digestOf(image.manifest.bytes)).toBe(image.manifest.digest)
    for (const { digest, size, mediaType } of parse.manifest.blobs) {
      const part = parts.get(digest)
      expect(part?.mediaType).toBe(mediaType)
      expect(part?.bytes.length).toBe(size)
      expect(digestOf(part?.bytes ?? new Uint8Array())).toBe(digest)
    }
  })

  test('its config names the unpacked layers, and a program that is in them', async () => {
    const { blobs } = await makeDemoImage({ payloadBytes: PAYLOAD })
    const [config, ...layers] = blobs
    const { rootfs, config: run } = JSON.parse(Buffer.from(config!.bytes).toString()) as {
      rootfs: { diff_ids: string[] }
      config: { Cmd: string[] }
    }
    const tars = layers.map(({ bytes }) => gunzipSync(bytes))
    expect(rootfs.diff_ids).toEqual(tars.map((tar) => digestOf(tar)))
    const files = await filesOf(tars[0]!)
    expect(files.get(run.Cmd[0]!.slice(1))?.mode).toBe(0o755)
  })

  test('two images share nothing that would have to move, and do not compress', async () => {
    const [one, two] = [
      await makeDemoImage({ payloadBytes: PAYLOAD }),
      await makeDemoImage({ payloadBytes: PAYLOAD }),
    ]
    expect(one.manifest.digest).not.toBe(two.manifest.digest)
    const bytes = one.blobs.reduce((sum, blob) => sum + blob.bytes.length, 0)
    expect(bytes).toBeGreaterThan(PAYLOAD)
  })
})

describe('cli / hello program', () => {
  const runs = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)

  test.runIf(runs)('it prints its text and ends well on this machine', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hello-'))
    try {
      const path = join(directory, 'hello')
      const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
      await writeFile(path, makeHelloProgram('good day\n', architecture), { mode: 0o755 })
      const { stdout } = await promisify(execFile)(path)
      expect(stdout).toBe('good day\n')
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test('on arm64 the address of the text is that of the text', () => {
    const program = makeHelloProgram('good day\n', 'arm64')
    expect(program.readUInt16LE(18)).toBe(183)
    const adrAt = Number(program.readBigUInt64LE(24) - 0x40_0000n) + 4
    const word = program.readUInt32LE(adrAt)
    const offset = (((word >>> 5) & 0x7ffff) << 2) | ((word >>> 29) & 3)
    expect(program.subarray(adrAt + offset).toString()).toBe('good day\n')
  })
})

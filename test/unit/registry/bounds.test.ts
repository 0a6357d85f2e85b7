import { describe, expect, it } from 'vitest'
import { makeImage } from '../../helpers/images.ts'
import { errorOf, startRegistry } from './registry-rig.ts'

describe('bounds of the registry', () => {
  it('while the event loop is late no upload begins; what has begun goes on, and reads do', async () => {
    let isLate = false
    await using registry = await startRegistry({ isLate: () => isLate })
    const image = makeImage('late')
    const [first, ...rest] = image.blobs
    if (first === undefined) throw new Error('an image has a config')
    for (const blob of rest) await registry.pushBlob('team/app', blob)
    const begun = await registry.begin('team/app')
    isLate = true
    const refused = await registry.ask('/v2/team/app/blobs/uploads/', { method: 'POST' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await errorOf(refused)).toMatchObject({ code: 'TOOMANYREQUESTS' })
    const body = Uint8Array.from(first.bytes)
    const put = await registry.ask(`${begun}?digest=${first.digest}`, { method: 'PUT', body })
    expect(put.status).toBe(201)
    expect((await registry.putManifest('team/app', 'v1', image)).status).toBe(201)
    expect((await registry.ask('/v2/team/app/manifests/v1')).status).toBe(200)
  })

  it('one upload too many gets 503 and when to come back', async () => {
    await using registry = await startRegistry({ bounds: { uploads: 1 } })
    const path = await registry.begin('team/app')
    expect((await registry.ask(path, { method: 'PATCH', body: 'bytes' })).status).toBe(202)
    const refused = await registry.ask('/v2/team/app/blobs/uploads/', { method: 'POST' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '30'])
    expect(await errorOf(refused)).toMatchObject({ code: 'TOOMANYREQUESTS' })
  })

  it('sessions that nobody used hold up no push: their clients are told 404', async () => {
    await using registry = await startRegistry({ bounds: { uploads: 2 } })
    const paths: string[] = []
    for (let at = 0; at < 5; at += 1) paths.push(await registry.begin('team/app'))
    const image = makeImage('pushed')
    for (const blob of image.blobs) {
      const at = `${await registry.begin('team/app')}?digest=${blob.digest}`
      const body = Uint8Array.from(blob.bytes)
      expect((await registry.ask(at, { method: 'PUT', body })).status).toBe(201)
    }
    const gone = await registry.ask(paths[0] ?? '', { method: 'PATCH', body: 'bytes' })
    expect(gone.status).toBe(404)
    expect(await errorOf(gone)).toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN' })
  })

  it('an upload that is too large gets 413, and the next one has its place', async () => {
    await using registry = await startRegistry({ bounds: { uploads: 1, uploadBytes: 10 } })
    const path = await registry.begin('team/app')
    const sent = await registry.ask(path, { method: 'PATCH', body: 'eleven bytes' })
    expect(sent.status).toBe(413)
    expect(await errorOf(sent)).toMatchObject({ code: 'SIZE_INVALID' })
    expect(await registry.begin('team/app')).not.toBe('')
  })

  it('a manifest that is too large gets 413, whether it says so or not', async () => {
    await using registry = await startRegistry({ bounds: { manifestBytes: 1024 } })
    const text = ' '.repeat(1025)
    const path = '/v2/team/app/manifests/v1'
    const whole = await registry.ask(path, { method: 'PUT', body: text })
    const chunked = await registry.ask(path, {
      method: 'PUT',
      body: new Blob([text]).stream(),
      duplex: 'half',
    })
    for (const answer of [whole, chunked]) {
      expect(answer.status).toBe(413)
      expect(await errorOf(answer)).toMatchObject({ code: 'MANIFEST_INVALID' })
    }
  })
})

import { describe, expect, test } from 'vitest'
import { createChangeGate } from '../../../src/node/change-gate.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

function setUp() {
  const clock = createFakeClock()
  let answer: () => Promise<Response> = async () => new Response('first')
  const gate = createChangeGate({ app: () => ({ fetch: () => answer() }), clock })
  const ask = async (method: string, path = '/v2/a/manifests/v1') => {
    const response = await gate.fetch(new Request(`http://node${path}`, { method }))
    return `${response.status} ${await response.text()}`
  }
  const answerWith = (next: typeof answer) => {
    answer = next
  }
  return { clock, gate, ask, answerWith }
}

describe('node / change gate', () => {
  test('while it is shut who reads is answered by the former, who writes by the next', async () => {
    const { gate, ask, answerWith } = setUp()
    await gate.shut()
    const pushed = ask('PUT')
    expect(await ask('GET')).toBe('200 first')
    answerWith(async () => new Response('second'))
    gate.open()
    expect(await pushed).toBe('200 second')
    expect(await ask('PUT')).toBe('200 second')
  })

  test('what the former does not find is asked of the next, or put off: a term that has ended brings nothing on request', async () => {
    const { clock, gate, ask, answerWith } = setUp()
    const missing = async () => new Response('not found', { status: 404 })
    answerWith(missing)
    expect(await ask('GET')).toBe('404 not found')
    await gate.shut()
    const asked = [ask('GET'), ask('HEAD')]
    await clock.advance(1)
    answerWith(async () => new Response('second'))
    gate.open()
    expect(await Promise.all(asked)).toEqual(['200 second', '200 second'])

    answerWith(missing)
    await gate.shut()
    const late = ask('GET')
    await clock.advance(2_000)
    expect(await late).toMatch(/^503 \{"errors":/)
  })

  test('who has waited for 2 s is told to come back, in the words of the API that it asked', async () => {
    const { clock, gate, ask } = setUp()
    await gate.shut()
    const asked = [ask('DELETE'), ask('POST', '/api/v1/gc')]
    await clock.advance(1_999)
    const late = ask('POST', '/v2/a/blobs/uploads/')
    await clock.advance(1)
    expect(await Promise.all(asked)).toEqual([
      expect.stringMatching(/^503 \{"errors":\[\{"code":"TOOMANYREQUESTS"/),
      expect.stringMatching(/^503 \{"error":\{"code":"TOOMANYREQUESTS"/),
    ])
    gate.open()
    expect(await late).toBe('200 first')
  })

  test('it is shut when pushes under way have ended, or after 2 s; uploads are not waited for', async () => {
    const { clock, gate, ask, answerWith } = setUp()
    const slow = Promise.withResolvers<Response>()
    answerWith(() => slow.promise.then((one) => one.clone()))
    const upload = ask('PATCH', '/v2/a/blobs/uploads/1')
    await gate.shut()
    gate.open()

    const push = ask('PUT')
    let isShut = false
    const shut = gate.shut().then(() => {
      isShut = true
    })
    await clock.advance(1_000)
    expect(isShut).toBe(false)
    slow.resolve(new Response('done'))
    await Promise.all([push, upload])
    await shut
    gate.open()

    answerWith(() => new Promise(() => {}))
    void ask('PUT')
    const again = gate.shut()
    await clock.advance(2_000)
    await again
  })
})

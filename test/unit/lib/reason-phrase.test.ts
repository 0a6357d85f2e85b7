import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { reasonPhrase } from '../../../src/lib/reason-phrase.ts'

test('whatever a message says becomes one line that a status line may have', () => {
  expect(reasonPhrase('no such tag: try again')).toBe('no such tag: try again')
  expect(reasonPhrase('a\r\nset-cookie: b\0 \u{1f600} é')).toBe('a??set-cookie: b? ?? ?')
  const long = reasonPhrase(`${'x'.repeat(10_000)}\n`)
  expect(long).toHaveLength(500)
  const outgoing = new ServerResponse(new IncomingMessage(new Socket()))
  outgoing.statusMessage = reasonPhrase('\u0000\u001f\u007f\u0080\u00ff\ud800')
  expect(() => outgoing.writeHead(503)).not.toThrow()
})

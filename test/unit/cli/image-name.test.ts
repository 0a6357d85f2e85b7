import { describe, expect, test } from 'vitest'
import { parseImage } from '../../../src/cli/image-name.ts'

const DIGEST = `sha256:${'0a'.repeat(32)}`

describe('cli / image name', () => {
  test.each([
    ['team/app', { repository: 'team/app' }],
    ['team/app:1.0', { repository: 'team/app', reference: '1.0' }],
    [`team/app@${DIGEST}`, { repository: 'team/app', reference: DIGEST }],
  ])('%s is read', (text, name) => {
    expect(parseImage(text)).toEqual(name)
  })

  test.each([
    '',
    'Team/app:1',
    'app:',
    'app@sha256:00',
    'localhost:5000/app:1',
    'app:-x',
    '../app',
  ])('%j is refused with what was expected and what came', (text) => {
    expect(() => parseImage(text)).toThrow(`without the host of a registry; got ${text}`)
  })
})

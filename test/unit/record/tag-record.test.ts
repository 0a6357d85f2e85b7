import { describe, expect, test } from 'vitest'
import { keyText, parseKeyText, subjectOf } from '../../../src/record/tag-record.ts'
import { digestNamed, identityNamed, recordBy, ref, repo } from '../../helpers/writers.ts'

const HEX = digestNamed('subject').slice(7)

describe('record / tag-record', () => {
  test('a key survives its text', () => {
    const key = { repository: repo('team/app'), reference: ref('v1') }
    expect(parseKeyText(keyText(key))).toEqual(key)
  })

  test('keys sort by repository, then by reference, also where one name begins another', () => {
    const keys = [
      ['a', 'z'],
      ['a-b', 'a'],
      ['a/b', 'a'],
      ['aa', 'a'],
    ].map(([repository = '', reference = '']) =>
      keyText({ repository: repo(repository), reference: ref(reference) }),
    )
    expect([...keys].sort()).toEqual(keys)
  })

  test.each([
    [`sha256-${HEX}`, true],
    [`sha256-${HEX}.sig`, true],
    [`sha256-${HEX}.sbom.json`, true],
    [`sha256-${HEX}x`, false],
    [`sha256-${HEX}.`, false],
    [`x-sha256-${HEX}`, false],
    [`sha256-${HEX.slice(1)}`, false],
    [`sha256-${HEX.toUpperCase()}`, false],
  ])('the tag %s is about a manifest: %s', (tag, isAbout) => {
    const { record } = recordBy(identityNamed('hub'), { reference: ref(tag) })
    expect(subjectOf(record)).toBe(isAbout ? digestNamed('subject') : undefined)
  })

  test('the subject in the record counts before the one in the tag', () => {
    const subject = digestNamed('other')
    const { record } = recordBy(identityNamed('hub'), { reference: ref(`sha256-${HEX}`), subject })
    expect(subjectOf(record)).toBe(subject)
  })
})

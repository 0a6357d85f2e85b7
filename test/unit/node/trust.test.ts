import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTrust } from '../../../src/node/trust.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { createLogKeeper } from '../../helpers/log-keeper.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

describe('node / trust', () => {
  test('a changed file of authorities counts from then on; a broken one is logged and does not', async () => {
    await using directory = await makeTemporaryDirectory()
    const file = join(directory.path, 'ca.pem')
    const clock = createFakeClock()
    const { logger, lines } = createLogKeeper()
    await writeFile(file, `# ours\n${makeAuthority('one').cert}${makeAuthority('two').cert}`)
    using trust = await openTrust(file, { clock, logger })
    const first = trust.context()
    expect(trust.context()).toBe(first)
    const change = async (text: string, count: number) => {
      await writeFile(file, text)
      await eventually(async () => {
        await clock.advance(1_000)
        return lines.length === count
      })
    }
    await change('-----BEGIN CERT', 1)
    expect(lines[0]).toMatchObject({ level: 'warn', message: expect.stringContaining('not taken') })
    expect(trust.context()).toBe(first)
    await change(makeAuthority('three').cert, 2)
    expect(trust.context()).not.toBe(first)
  })

  test.each([
    ['no certificate', 'nothing', /expected certificates in PEM/],
    [
      'a broken one',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      /cannot be read/,
    ],
    ['nothing, since it is not there', undefined, /--tls-ca: cannot read .*ca\.pem/],
  ])('a file with %s is refused', async (_, text, message) => {
    await using directory = await makeTemporaryDirectory()
    const file = join(directory.path, 'ca.pem')
    if (text !== undefined) await writeFile(file, text)
    const { logger } = createLogKeeper()
    const opening = openTrust(file, { clock: createFakeClock(), logger })
    await expect(opening).rejects.toMatchObject({ code: 'TLS_INVALID' })
    await expect(opening).rejects.toThrow(message)
  })
})

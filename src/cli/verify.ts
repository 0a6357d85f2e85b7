/** `entrepot verify`: reads and hashes everything in a data directory, and says what is damaged; repairs what it can. */
import type { Command } from 'commander'
import { bytesText } from '../lib/bytes-text.ts'
import { systemClock } from '../lib/clock.ts'
import { systemRandom } from '../lib/random.ts'
import { openDataDirectory } from '../node/data-directory.ts'
import type { Finding } from '../storage/finding.ts'
import { type Verification, verifyDirectory } from '../storage/verification.ts'
import { dataOption } from './node-command.ts'
import { findingText, print } from './output.ts'

interface Options {
  readonly data: string
  readonly repair?: boolean
  readonly json?: boolean
}

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description(
      'hash everything in a data directory that no node has open; exit code 1: damage is left',
    )
    .addOption(dataOption('data directory of the node').makeOptionMandatory())
    .option('--repair', 'put right what can be put right here; the node fetches the rest again')
    .option('--json', 'print each finding, and the result, as a line of JSON')
    .action(async ({ data, repair = false, json = false }: Options) => {
      await using directory = await openDataDirectory(data)
      const parts = { ...directory, clock: systemClock, random: systemRandom }
      const verification = await verifyDirectory(parts, {
        mustRepair: repair,
        signal: new AbortController().signal,
        onFinding: (one: Finding) => print(json ? JSON.stringify(one) : findingText(one)),
      })
      print(json ? JSON.stringify(verification) : verificationText(verification, repair))
      if (verification.left > 0) process.exitCode = 1
    })
}

function verificationText(
  { files, bytes, unclaimed, findings, left }: Verification,
  isRepair: boolean,
): string {
  const read = `read and hashed ${files} files, ${bytesText(bytes)}`
  const spare =
    unclaimed === 0 ? '' : `; no repository has ${unclaimed} of them, the collector takes them`
  if (findings === 0) return `${read}${spare}\nno damage`
  const mended = isRepair ? `${findings - left} repaired, ${left} left` : `${left} in all`
  const next = !isRepair && left > 0 ? '; --repair puts right what can be put right here' : ''
  return `${read}${spare}\ndamage: ${mended}${next}`
}

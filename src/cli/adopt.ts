/** `entrepot adopt`: takes what another registry left in a directory into the index, and says what it found. */
import type { Command } from 'commander'
import { openDataDirectory } from '../node/data-directory.ts'
import { type Adoption, adopt } from '../storage/adoption.ts'
import type { Finding } from '../storage/finding.ts'
import { dataOption } from './node-command.ts'
import { findingText, print } from './output.ts'

interface Options {
  readonly data: string
  readonly leaveUnreadable?: boolean
  readonly json?: boolean
}

export function addAdoptCommand(program: Command): void {
  program
    .command('adopt')
    .description(
      'take into the index what another registry left in a directory; no node runs on it',
    )
    .addOption(dataOption('directory that the other registry filled').makeOptionMandatory())
    .option('--leave-unreadable', 'finish although manifests cannot be read: their bytes may go')
    .option('--json', 'print each finding, and the result, as a line of JSON')
    .action(async ({ data, leaveUnreadable = false, json = false }: Options) => {
      await using directory = await openDataDirectory(data)
      const onFinding = (one: Finding) => print(json ? JSON.stringify(one) : findingText(one))
      const { signal } = new AbortController()
      const adoption = await adopt(directory, { signal, onFinding, leaveUnreadable })
      await directory.links.settled()
      print(json ? JSON.stringify(adoption) : adoptionText(adoption))
      if (!adoption.isDone) process.exitCode = 1
    })
}

function adoptionText({ repositories, found, added, findings, isDone }: Adoption): string {
  const count = (number: number, one: string) => `${number} ${one}${number === 1 ? '' : 's'}`
  const text = ({ manifests, blobs, tags }: Adoption['found']) =>
    [count(manifests, 'manifest'), count(blobs, 'blob link'), count(tags, 'tag')].join(', ')
  return [
    `found ${repositories} ${repositories === 1 ? 'repository' : 'repositories'}: ${text(found)}`,
    `new in the index: ${text(added)}`,
    ...(findings === 0 ? [] : [`not as it should be: ${count(findings, 'thing')}, listed above`]),
    ...(added.manifests + added.tags === 0
      ? []
      : [
          'nothing is signed yet: a node that may write these repositories does that at its next start',
        ]),
    ...(isDone
      ? []
      : [
          'not finished: some manifests cannot be read. Nothing is collected until they are gone or readable, or until',
          'entrepot adopt --leave-unreadable says that they may go. What could be read is served.',
        ]),
  ].join('\n')
}

/** `entrepot gc`: takes what nothing needs any more, of a running node or of a directory; or says what would go, and why. */
import type { Command } from 'commander'
import { runCollector } from '../admin/collect.ts'
import type { CollectionView } from '../admin/views.ts'
import { createEventBus } from '../events/event-bus.ts'
import { bytesText } from '../lib/bytes-text.ts'
import { systemClock } from '../lib/clock.ts'
import { boundText } from '../lib/duration.ts'
import { EntrepotError } from '../lib/errors.ts'
import { createLogger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import { resolveBounds } from '../node/bounds.ts'
import { type NodeFlags, parseGraces } from '../node/config.ts'
import { openDataDirectory } from '../node/data-directory.ts'
import { createBlobLeases } from '../storage/blob-leases.ts'
import { createCollector } from '../storage/collector.ts'
import { createContentRows } from '../storage/content-rows.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { askNode } from './node-api.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson, table } from './output.ts'

interface Options extends NodeOptions, Pick<NodeFlags, 'keepSuperseded' | 'keepUnused'> {
  readonly data?: string
  readonly dryRun?: boolean
}

/** A run looks at every row and file of the node; a million of them take minutes, milliseconds. */
const TIMEOUT_MS = 3_600_000

export function addGcCommand(program: Command): void {
  nodeCommand(
    program,
    'gc',
    'take what nothing needs any more, of a running node or of a directory',
  )
    .option('--data <dir>', 'a data directory that no node has open, instead of a running node')
    .option('--dry-run', 'take nothing; say what would go, what goes later, and why')
    .option('--keep-superseded <time>', 'with --data: as of `serve` (default: 7d)')
    .option('--keep-unused <time>', 'with --data: as of `serve` (default: 24h)')
    .action(async (options: Options) => {
      const collection = await (options.data === undefined
        ? collectAtNode(options)
        : collectInDirectory(options.data, options))
      if (options.json === true) printJson(collection)
      else print(collectionText(collection))
    })
}

function collectAtNode(options: Options): Promise<CollectionView> {
  const { url, tlsCa, dryRun, keepSuperseded, keepUnused } = options
  if (keepSuperseded !== undefined || keepUnused !== undefined) {
    const message =
      'a running node goes by its own --keep-superseded and --keep-unused; give them to `serve`'
    throw new EntrepotError('CONFIG_INVALID', message)
  }
  const path = `/api/v1/gc?dryRun=${dryRun === true}`
  return askNode<CollectionView>(url, path, { method: 'POST', tlsCa, timeoutMs: TIMEOUT_MS })
}

/** @throws DATA_MISSING, DATA_IN_USE while a node runs on the directory */
async function collectInDirectory(
  directory: string,
  { dryRun, ...flags }: Options,
): Promise<CollectionView> {
  const graces = parseGraces(flags)
  const clock = systemClock
  const random = systemRandom
  const logger = createLogger({ node: 'gc' }, { logLevel: 'warn' })
  await using parts = new AsyncDisposableStack()
  const { index, blobs, ledger, links } = parts.use(await openDataDirectory(directory))
  const collector = parts.use(
    createCollector(
      {
        index,
        blobs,
        ledger,
        rows: createContentRows({ ledger, links }),
        uploads: createUploadSessions({ blobs, index, clock }, resolveBounds([], {})),
        // Nobody else is here: no client was told anything a short while ago.
        leases: createBlobLeases({ clock, random }, { keepMs: 0 }),
        rights: undefined,
        oldestJobMs: () => undefined,
        events: createEventBus({ logger }),
        clock,
        random,
        logger,
      },
      graces,
    ),
  )
  const collection = await runCollector(collector, { isDryRun: dryRun === true })
  await links.settled()
  return collection
}

function collectionText({ isDryRun, items, leftOff, counts, freedBytes }: CollectionView): string {
  const now = systemClock.now()
  const rows = items.map(({ kind, repository, name, bytes, reason, dueAtMs, isDue }) => [
    isDue ? (isDryRun ? 'would go' : 'gone') : whenText(dueAtMs - now),
    kind,
    repository ?? '',
    name,
    bytesText(bytes),
    reason,
  ])
  const head = ['WHEN', 'WHAT', 'REPOSITORY', 'NAME', 'BYTES', 'WHY']
  const parts = Object.entries(counts)
    .filter(([, number]) => number > 0)
    .map(([kind, number]) => `${number} ${kind}${number === 1 ? '' : 's'}`)
  const total =
    parts.length === 0
      ? 'nothing is due'
      : `${isDryRun ? 'would take' : 'took'} ${parts.join(', ')}: ${bytesText(freedBytes)} of disk`
  const more = leftOff > 0 ? [`and ${leftOff} more`] : []
  return [...(rows.length > 0 ? [table([head, ...rows])] : []), ...more, total].join('\n')
}

function whenText(ms: number): string {
  return ms > 0 ? `in ${boundText(ms)}` : 'stays'
}

/** `entrepot topology simulate`: what a topology costs and how fast it is with as many nodes as wanted, on simulated links. */
import type { Command } from 'commander'
import { EntrepotError } from '../lib/errors.ts'
import { parseRepositoryName, parseTag } from '../oci/name.ts'
import type { ScaleOptions } from '../simulator/scale-report.ts'
import type { Topology } from '../topology/topology.ts'
import { parseImage } from './image-name.ts'
import { print, printJson } from './output.ts'

interface Flags {
  readonly nodes?: string
  readonly image?: string
  readonly imageMib: string
  readonly pushes: string
  readonly rate: string
  readonly uplink?: string
  readonly rtt: string
  readonly quiet: string
  readonly degree: string
  readonly seed: string
  readonly json?: boolean
}

interface Range {
  readonly least: number
  readonly greatest: number
  readonly isWhole?: boolean
}

const MIB = 1024 * 1024
/** 10^6 bits as bytes. */
const MBIT = 125_000
/** One TiB: as large as a node takes an upload. */
const MAX_IMAGE_MIB = 1024 * 1024
const MAX_NODES = 10_000
const MAX_PUSHES = 1_000
const MAX_RATE_MBIT = 1_000_000
const MAX_RTT_MS = 60_000
/** A week. */
const MAX_QUIET_MINUTES = 10_080

export function addSimulateCommand(
  topology: Command,
  load: (file: string) => Promise<{ readonly topology: Topology }>,
): void {
  topology
    .command('simulate')
    .description('run the topology with many nodes on simulated links: messages, bytes and times')
    .argument('<file>', 'topology file (YAML)')
    .option(
      '--nodes <n>',
      'repeat leaves and members until there are so many (default: as in the file)',
    )
    .option('--image <repository:tag>', 'what is pushed (default: what reaches most nodes)')
    .option('--image-mib <n>', 'size of the image, MiB', '64')
    .option('--pushes <n>', 'images, one after the other', '1')
    .option('--rate <mbit>', 'of each link, each way, Mbit/s', '1000')
    .option('--uplink <mbit>', 'of all that one node sends, Mbit/s (default: as --rate)')
    .option('--rtt <ms>', 'round trip of each link, milliseconds', '20')
    .option('--quiet <minutes>', 'how long nothing is pushed in the end', '60')
    .option(
      '--degree <n>',
      'members of a link group to whom one passes news on, as gossipsub does',
      '7',
    )
    .option('--seed <n>', 'of what is left to chance', '1')
    .option('--json', 'print everything as JSON, link by link')
    .action(async (file: string, flags: Flags) => {
      const { topology: read } = await load(file)
      const options = optionsOf(flags, read)
      // Loaded here: no other command pays for it.
      const { simulateScale } = await import('../simulator/scale-run.ts')
      const report = await simulateScale(read, options)
      if (flags.json === true) return printJson({ file, options, report })
      const { reportText } = await import('./simulate-text.ts')
      print(reportText(report, options))
    })
}

/** @throws CONFIG_INVALID */
function optionsOf(flags: Flags, { nodes }: Topology): ScaleOptions {
  const { image } = flags
  const rate = { least: 0.001, greatest: MAX_RATE_MBIT }
  const count = flags.nodes ?? String(nodes.size)
  return {
    nodes: number('--nodes', count, { least: 1, greatest: MAX_NODES, isWhole: true }),
    imageBytes:
      MIB * number('--image-mib', flags.imageMib, { least: 0.001, greatest: MAX_IMAGE_MIB }),
    pushes: number('--pushes', flags.pushes, { least: 0, greatest: MAX_PUSHES, isWhole: true }),
    linkRate: MBIT * number('--rate', flags.rate, rate),
    nodeRate: MBIT * number('--uplink', flags.uplink ?? flags.rate, rate),
    roundTripMs: number('--rtt', flags.rtt, { least: 0, greatest: MAX_RTT_MS }),
    quietMinutes: number('--quiet', flags.quiet, { least: 0, greatest: MAX_QUIET_MINUTES }),
    degree: number('--degree', flags.degree, { least: 1, greatest: MAX_NODES }),
    seed: number('--seed', flags.seed, { least: 0, greatest: 2 ** 32 - 1, isWhole: true }),
    ...(image === undefined ? {} : { image: imageOf(image) }),
  }
}

function number(flag: string, text: string, { least, greatest, isWhole = false }: Range): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  const isGood = value >= least && value <= greatest && (!isWhole || Number.isInteger(value))
  if (isGood) return value
  const kind = isWhole ? 'a whole number' : 'a number'
  throw new EntrepotError(
    'CONFIG_INVALID',
    `${flag} must be ${kind} from ${least} to ${greatest}; got ${text}`,
  )
}

function imageOf(image: string): NonNullable<ScaleOptions['image']> {
  const { repository, reference } = parseImage(image)
  const [name, tag] = [parseRepositoryName(repository), parseTag(reference ?? '')]
  if (name !== undefined && tag !== undefined) return { repository: name, tag }
  throw new EntrepotError('CONFIG_INVALID', `--image must be REPOSITORY:TAG; got ${image}`)
}

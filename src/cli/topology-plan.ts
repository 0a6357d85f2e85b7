/** `entrepot topology plan`: what a changed file would bring, cost and rest on; or where one image goes, and when. */
import type { Command } from 'commander'
import { imageOf } from '../forecast/image-text.ts'
import { type PlanOptions, planOf } from '../forecast/plan.ts'
import { reachOf } from '../forecast/reach.ts'
import { samplesOf } from '../forecast/samples.ts'
import { systemClock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Finding } from '../topology/findings.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { SIZE } from '../topology/words.ts'
import { imagePlanRows, imagePlanText } from './image-plan-text.ts'
import { readContents } from './node-contents.ts'
import { print, printJson } from './output.ts'
import { planText } from './plan-text.ts'

interface Flags {
  readonly image?: string
  readonly from?: string
  readonly platform?: string
  readonly url?: string
  readonly tlsCa?: string
  readonly size: string
  readonly json?: boolean
}

/** @throws TOPOLOGY_UNREADABLE, TOPOLOGY_INVALID */
type Load = (
  file: string,
) => Promise<{ readonly topology: Topology; readonly findings: readonly Finding[] }>

export function addPlanCommand(topology: Command, load: Load): void {
  topology
    .command('plan')
    .description(
      'what a changed file would bring and cost; with --image: where an image goes and when. Exit code 1: the new file is not possible, or its tests fail',
    )
    .argument('<file>', 'the file that runs; with --image the only one')
    .argument('[new]', 'the file that shall run')
    .option(
      '--url <url>',
      'a running node that is asked for images and their sizes, e.g. the writer',
    )
    .option('--tls-ca <file>', 'authority of its certificate, PEM')
    .option('--size <size>', 'of the image whose least time is told', '1GiB')
    .option('--image <repository:tag>', 'say where this image goes')
    .option('--from <node>', 'with --image: where it is pushed (default: the first writer)')
    .option('--platform <platform>', 'with --image: of an index, this platform')
    .option('--json', 'print the plan as JSON')
    .action(async (file: string, next: string | undefined, flags: Flags) => {
      if (flags.image !== undefined) {
        if (next === undefined) return planImage((await load(file)).topology, flags)
        throw usage('with --image there is one FILE; got two')
      }
      if (next === undefined) throw usage('expected OLD and NEW, or FILE and --image')
      if (flags.from !== undefined || flags.platform !== undefined) {
        throw usage('--from and --platform belong to --image')
      }
      await planChange(load, [file, next], flags)
    })
}

async function planChange(
  load: Load,
  [oldFile, newFile]: readonly [string, string],
  flags: Flags,
): Promise<void> {
  const imageBytes = sizeOf(flags.size)
  const { topology: old } = await load(oldFile)
  const { topology: next, findings } = await load(newFile)
  const { url } = flags
  const known = url === undefined ? undefined : await readContents({ ...flags, url })
  const samples = samplesOf([old, next]).map((sample) => ({ ...sample, parts: [] }))
  const options: PlanOptions = {
    contents: known?.contents ?? samples,
    imageBytes,
    nowMs: systemClock.now(),
    lints: findings,
  }
  const plan = planOf(old, next, options)
  const isCut = known?.isCut === true
  if (flags.json === true) printJson({ old: oldFile, new: newFile, isCut, plan })
  else {
    print(planText(plan, { imageBytes, isMeasured: known !== undefined }))
    if (isCut) print(`Of more images only the first ${known?.contents.length ?? 0} were looked at`)
  }
  const isGood = plan.problems.length === 0 && plan.tests.every(({ ok }) => ok)
  if (!isGood) process.exitCode = 1
}

function planImage(topology: Topology, flags: Flags): void {
  const image = imageOf(flags.image ?? '')
  if (image === undefined) throw usage(`--image must be REPOSITORY:TAG; got ${flags.image}`)
  const [writer] = writersOf(topology, image.repository)
  const from = (flags.from ?? writer) as NodeName | undefined
  if (from === undefined) {
    throw usage(`no node may write ${image.repository}: no entry of origins matches it`)
  }
  if (!topology.nodes.has(from)) throw usage(`--from: the topology has no node ${from}`)
  const { platform } = flags
  const question = { ...image, from, ...(platform === undefined ? {} : { platform }) }
  const asked = { topology, question, reaches: reachOf(topology, question) }
  const rows = imagePlanRows(asked, systemClock.now())
  if (flags.json === true) printJson({ ...question, nodes: rows })
  else print(imagePlanText(asked, rows))
}

/** @throws CONFIG_INVALID */
function sizeOf(text: string): number {
  const { success, data } = SIZE.safeParse(text)
  if (success && data > 0) return data
  throw usage(`--size: expected a size such as 500MB or 1GiB; got ${text}`)
}

function usage(message: string): EntrepotError {
  return new EntrepotError('CONFIG_INVALID', message)
}

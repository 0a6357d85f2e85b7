/** `entrepot converged`: whether every node holds what the topology says, by asking each of them. Exit 0: it does. */
import type { Command } from 'commander'
import type { ConvergenceView } from '../admin/convergence-view.ts'
import { systemClock } from '../lib/clock.ts'
import { counted } from '../lib/counted.ts'
import { durationText } from '../lib/duration.ts'
import { isProven, judgeRound, type Round, waitsOf, waitTexts } from './convergence-verdict.ts'
import { askAll, findMesh, isReached, type MeshNodes } from './mesh-nodes.ts'
import { type NodeOptions, nodeCommand } from './node-command.ts'
import { print, printJson, table } from './output.ts'
import { timeoutMsOf } from './timeout-option.ts'

interface Options extends NodeOptions {
  readonly wait?: boolean
  readonly timeout: string
  readonly all?: boolean
  readonly without?: readonly string[]
}

/** Looks before the answer is no: an exchange under way lasts a moment. */
const LOOKS = 4
/** Between two looks, milliseconds: at first, and with --wait at last. */
const PAUSE = { firstMs: 150, capMs: 2_000 }
const MS_PER_SECOND = 1_000

export function addConvergedCommand(program: Command): void {
  nodeCommand(
    program,
    'converged',
    'whether every node that is reached holds what it must; exit code 1: not',
  )
    .option('--wait', 'look again until it is so')
    .option('--timeout <time>', 'with --wait: give up after so long, e.g. 90s', '5m')
    .option('--all', 'a node that is not reached counts as not converged')
    .option(
      '--without <nodes...>',
      'nodes that are gone: nobody waits for what would come from them',
    )
    .action(async (options: Options) => {
      const { isConverged, round } = await look(options, timeoutMsOf(options.timeout))
      if (options.json === true) printJson(jsonOf(round, isConverged))
      else print(roundText(round, isConverged))
      if (!isConverged) process.exitCode = 1
    })
}

async function look(
  options: Options,
  timeoutMs: number,
): Promise<{ readonly isConverged: boolean; readonly round: Round }> {
  const mesh = await findMesh(options)
  const names = mesh.topology.nodes.map(({ name }) => name)
  for (const name of (options.without ?? []).filter((one) => !names.includes(one))) {
    const known = `there are ${names.join(', ')}`
    process.stderr.write(`entrepot: --without: no node ${name} in the topology; ${known}\n`)
  }
  const beganAt = performance.now()
  const isShown = options.wait === true && process.stderr.isTTY
  let before: Round | undefined
  for (let looks = 1, pauseMs = PAUSE.firstMs; ; looks += 1) {
    const round = await lookOnce(mesh, options)
    const isComplete = options.all !== true || round.answers.every(isReached)
    const isConverged = before !== undefined && isProven(before, round)
    if (isShown) process.stderr.write(`\u001b[2K\r${progressText(round)}`)
    const isLast = options.wait === true ? performance.now() - beganAt >= timeoutMs : looks >= LOOKS
    if ((isConverged && isComplete) || isLast) {
      if (isShown) process.stderr.write('\u001b[2K\r')
      return { isConverged: isConverged && isComplete, round }
    }
    // Without a problem only the second look is missing.
    if (round.problems.size > 0 || before !== undefined) {
      await systemClock.sleep(pauseMs)
      if (options.wait === true) pauseMs = Math.min(pauseMs * 1.5, PAUSE.capMs)
    }
    before = round
  }
}

async function lookOnce(mesh: MeshNodes, options: Options): Promise<Round> {
  const without = new Set(options.without)
  const names = mesh.topology.nodes.map(({ name }) => name).filter((name) => !without.has(name))
  const answers = await askAll<ConvergenceView>(mesh, names, '/api/v1/convergence', options)
  return judgeRound(answers, without)
}

function progressText(round: Round): string {
  const { answers, problems } = round
  const reached = answers.filter(isReached)
  const open = reached.reduce((sum, { view }) => sum + view.jobs.open, 0)
  const done = reached.length - problems.size
  const what = [`${counted(open, 'transfer')} open`, ...waitTexts(waitsOf(round))]
  return `${done} of ${answers.length} nodes hold what they must, ${what.join('; ')}`
}

function roundText(round: Round, isConverged: boolean): string {
  const { answers, problems } = round
  const reached = answers.filter(isReached)
  const unreached = answers.flatMap((answer) => (answer.kind === 'unreached' ? [answer] : []))
  const rows = answers.map((answer) => {
    if (answer.kind === 'unreached') return [answer.node, 'not reached', '-', '-', answer.reason]
    const { view, node } = answer
    const why = problems.get(node)
    return [
      node,
      why === undefined ? 'converged' : 'behind',
      String(view.jobs.open),
      lagText(view),
      (why ?? []).join('; '),
    ]
  })
  const count = `${reached.length} of ${answers.length} nodes reached`
  const missing =
    unreached.length === 0 ? '' : `; not reached: ${unreached.map(({ node }) => node).join(', ')}`
  // A news that comes while the second look is taken is no fault of any node.
  const moved = problems.size === 0 && !isConverged && unreached.length === 0
  const verdict = isConverged ? 'converged' : 'not converged'
  return [
    table([['NODE', 'STATE', 'OPEN', 'LAG', 'WHY'], ...rows]),
    [
      `${verdict}: ${count}${missing}${moved ? '; the feeds moved while they were looked at' : ''}`,
      ...waitTexts(waitsOf(round)),
    ].join('; '),
  ].join('\n')
}

/** The worst policy of a node, against its objective. */
function lagText({ lag }: ConvergenceView): string {
  const [worst] = [...lag].sort(
    (a, b) => Number(a.isMet ?? true) - Number(b.isMet ?? true) || b.seconds - a.seconds,
  )
  if (worst === undefined || worst.records === 0) return '0s'
  const objective =
    worst.objectiveSeconds === undefined
      ? ''
      : ` of ${durationText(worst.objectiveSeconds * MS_PER_SECOND)}${worst.isMet === true ? '' : ' MISSED'}`
  const age = durationText(worst.seconds * MS_PER_SECOND)
  return `${age}${objective} (${worst.policy}, ${worst.records})`
}

function jsonOf(round: Round, isConverged: boolean): object {
  const { answers, problems } = round
  return {
    isConverged,
    ...waitsOf(round),
    nodes: answers.map((answer) =>
      answer.kind === 'unreached'
        ? { node: answer.node, isReached: false, reason: answer.reason }
        : {
            ...answer.view,
            isReached: true,
            problems: problems.get(answer.node) ?? [],
          },
    ),
  }
}

/**
 * Whether a mesh has converged, from what each of its nodes says of itself. News may be between two nodes, so one look proves
 * nothing: two looks are needed in which everybody is done and nobody's feed has moved from the first to the second.
 */
import type { ConvergenceView } from '../admin/convergence-view.ts'
import { counted } from '../lib/counted.ts'
import { durationText } from '../lib/duration.ts'
import type { Answer } from './mesh-nodes.ts'

/** What one look at all nodes gave. */
export interface Round {
  readonly answers: readonly Answer<ConvergenceView>[]
  /** Why a node that was reached does not hold what it must; no row for a node that does. */
  readonly problems: ReadonlyMap<string, readonly string[]>
}

/** `without`: nodes that are gone, by a person's word: nobody waits for what would come from them. */
export function judgeRound(
  answers: readonly Answer<ConvergenceView>[],
  without: ReadonlySet<string> = new Set(),
): Round {
  const views = new Map(
    answers.flatMap((answer) => (answer.kind === 'reached' ? [[answer.node, answer.view]] : [])),
  )
  const problems = new Map<string, readonly string[]>()
  for (const [node, view] of views) {
    const found = [
      ...ownProblems(view),
      ...topologyProblems(view, views),
      ...readingProblems(view, views, without),
    ]
    if (found.length > 0) problems.set(node, found)
  }
  return { answers, problems }
}

/** Whether the second look, begun after the first was over, proves that everybody was done between the two. */
export function isProven(first: Round, second: Round): boolean {
  if (first.problems.size > 0 || second.problems.size > 0) return false
  const [before, after] = [feedsOf(first), feedsOf(second)]
  return before === after
}

/** Where each feed stands, and who was reached. */
function feedsOf({ answers }: Round): string {
  return JSON.stringify(
    answers.map((answer) => [
      answer.node,
      answer.kind === 'reached' ? [answer.view.feed.epoch, answer.view.feed.head] : null,
    ]),
  )
}

function ownProblems(view: ConvergenceView): string[] {
  const { nowMs, isReady, isScanning, waitingKeys, jobs, damagedBlobs } = view
  const problems: string[] = []
  if (!isReady) problems.push('it is starting')
  if (isScanning) problems.push('it looks through what it knew before its start')
  if (waitingKeys > 0) problems.push(`${waitingKeys} news not looked at yet`)
  const { open, waitingForWindow, paused, oldestMs } = jobs
  const others = open - waitingForWindow - paused
  if (others > 0) {
    const age = oldestMs === undefined ? '' : `, the oldest ${durationText(nowMs - oldestMs)}`
    problems.push(`${counted(others, 'transfer')} open${age} (\`entrepot jobs\`)`)
  }
  problems.push(...waitTexts(jobs))
  if (jobs.held > 0) problems.push(`${jobs.held} held by a person (\`entrepot jobs retry ID\`)`)
  if (damagedBlobs > 0) problems.push(`${damagedBlobs} damaged blobs to repair`)
  return problems
}

/** Transfers that are to wait: by the schedule, or by a person's word. */
type Waits = Pick<ConvergenceView['jobs'], 'waitingForWindow' | 'windowOpensMs' | 'paused'>

/** Of all nodes that were reached together. */
export function waitsOf({ answers }: Round): Waits {
  const jobs = answers.flatMap((answer) => (answer.kind === 'reached' ? [answer.view.jobs] : []))
  const opens = jobs.flatMap(({ windowOpensMs }) => windowOpensMs ?? [])
  return {
    waitingForWindow: jobs.reduce((sum, one) => sum + one.waitingForWindow, 0),
    ...(opens.length === 0 ? {} : { windowOpensMs: Math.min(...opens) }),
    paused: jobs.reduce((sum, one) => sum + one.paused, 0),
  }
}

/** In words, what there is of it. */
export function waitTexts({ waitingForWindow, windowOpensMs, paused }: Waits): string[] {
  const opens =
    windowOpensMs === undefined
      ? 'it never opens again'
      : `next opens ${new Date(windowOpensMs).toISOString()}`
  const [wait, are] = [
    waitingForWindow === 1 ? 'waits for its' : 'wait for their',
    paused === 1 ? 'is' : 'are',
  ]
  return [
    ...(waitingForWindow === 0
      ? []
      : [`${counted(waitingForWindow, 'transfer')} ${wait} window (${opens})`]),
    ...(paused === 0
      ? []
      : [`${counted(paused, 'transfer')} ${are} paused (\`entrepot jobs pauses\`)`]),
  ]
}

function topologyProblems(
  view: ConvergenceView,
  views: ReadonlyMap<string, ConvergenceView>,
): string[] {
  const newest = Math.max(...[...views.values()].map(({ generation }) => generation))
  if (view.generation < newest) {
    return [`it runs generation ${view.generation} of the topology, others ${newest}`]
  }
  const differs = [...views.values()].some(
    ({ generation, topologyHash }) =>
      generation === view.generation && topologyHash !== view.topologyHash,
  )
  return differs ? [`others have another topology of generation ${view.generation}`] : []
}

/** It must have read every source to the end that the source itself tells. */
function readingProblems(
  view: ConvergenceView,
  views: ReadonlyMap<string, ConvergenceView>,
  without: ReadonlySet<string>,
): string[] {
  return view.neighbours
    .filter(({ isSource, name }) => isSource && !without.has(name))
    .flatMap(({ name, state, read, sinceMs, isNeeded }) => {
      const source = views.get(name)
      const since = new Date(sinceMs).toISOString()
      if (source === undefined) {
        // What would come by way of it cannot come: whether there is any, nobody here can tell.
        if (state === 'down')
          return !isNeeded ? [] : [`no link to its source ${name} since ${since}`]
        // What it told this node must be read.
        if (read !== undefined && read.through >= read.head) return []
        return [`it reads ${name}: ${read?.through ?? 0} of ${read?.head ?? 'unknown'}`]
      }
      const { epoch, head } = source.feed
      // Once to its end since this node started: then what its source says of it is said of what is on its disk now.
      const isWhole = read?.epoch === epoch && read.through >= read.head
      const waiting = source.readers.find((one) => one.node === view.node && one.isWaiting)
      const through = isWhole ? Math.max(read.through, waiting?.through ?? 0) : undefined
      if (through !== undefined && through >= head) return []
      if (state === 'down') return [`no link to its source ${name} since ${since}`]
      return [`it has read ${name} to ${through ?? read?.through ?? 0} of ${head}`]
    })
}

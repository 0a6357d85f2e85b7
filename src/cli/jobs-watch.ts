/** `entrepot jobs --watch`: the jobs of a node, live: drawn over in place on a terminal, a line for each change elsewhere. */
import type { JobView } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { createJobBoard, type JobBoard } from './job-board.ts'
import { type LiveEvent, readEvents } from './live-events.ts'

export interface WatchOptions {
  readonly url: string
  readonly tlsCa?: string | undefined
  readonly fits: (job: JobView) => boolean
  /** Events as lines of JSON, for a program. */
  readonly json?: boolean | undefined
  /** Ends the watch. */
  readonly signal: AbortSignal
}

/** Drawn again at most so often, milliseconds: five times a second are all that a person sees. */
const DRAW_MS = 200
/** A stream that ended is asked for again after so long, milliseconds: as it says itself. */
const AGAIN_MS = 1_000

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'

/**
 * Goes on until the signal is aborted; a node that ends or restarts is waited for.
 * @throws NODE_UNREACHABLE, NODE_REFUSED when it cannot be read the first time
 */
export async function watchJobs(
  { clock, out }: { readonly clock: Clock; readonly out: NodeJS.WriteStream },
  { url, tlsCa, fits, json, signal }: WatchOptions,
): Promise<void> {
  const board = createJobBoard(fits)
  await using screen =
    json === true
      ? createJsonPrinter(out, fits)
      : out.isTTY
        ? createScreen(out, board, clock)
        : createPrinter(out)
  let isKnown = false
  while (!signal.aborted) {
    try {
      await readEvents(
        url,
        (event) => {
          isKnown = true
          screen.told(board.take(event), event)
        },
        { signal, tlsCa },
      )
      if (!signal.aborted) screen.lost(`${url} ended the stream`)
    } catch (err) {
      if (!isKnown) throw err
      screen.lost(messageOf(err))
    }
    await clock.sleep(AGAIN_MS, { signal }).catch(() => {})
  }
}

interface Screen extends AsyncDisposable {
  told(lines: readonly string[], event: LiveEvent): void
  lost(why: string): void
}

function createPrinter(out: NodeJS.WriteStream): Screen {
  const print = (line: string) => void out.write(`${line}\n`)
  return {
    told: (lines) => lines.forEach(print),
    lost: (why) => print(`connecting again: ${why}`),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** The snapshot, changes of jobs, and what is paused. What went wrong is told beside it. */
function createJsonPrinter(out: NodeJS.WriteStream, fits: WatchOptions['fits']): Screen {
  const print = (event: string, data: object) =>
    void out.write(`${JSON.stringify({ event, ...data })}\n`)
  return {
    told: (_lines, { event, data }) => {
      if (event === 'snapshot') {
        const { jobs, ...rest } = data as { readonly jobs: readonly JobView[] }
        print(event, { ...rest, jobs: jobs.filter(fits) })
      } else if (event === 'job-changed') {
        const { job } = data as { readonly job: JobView }
        if (fits(job)) print(event, { job })
      } else if (event === 'pauses-changed' || event === 'jobs-reset') {
        print(event, data as object)
      }
    },
    lost: (why) => void process.stderr.write(`connecting again: ${why}\n`),
    [Symbol.asyncDispose]: async () => {},
  }
}

function createScreen(out: NodeJS.WriteStream, board: JobBoard, clock: Clock): Screen {
  const over = new AbortController()
  let drawn = 0
  let trouble: string | undefined
  out.write(HIDE_CURSOR)

  function draw(): void {
    // The last column is left alone: some terminals go on to the next line there. The last row holds the cursor.
    const size = { width: widthOf(out), height: heightOf(out), now: clock.now() }
    const lines = [...board.lines(size), ...(trouble === undefined ? [] : [trouble])]
    const up = drawn === 0 ? '' : `\u001b[${drawn}A`
    out.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join('')}\u001b[0J`)
    drawn = lines.length
  }

  async function drawAgain(): Promise<void> {
    while (!over.signal.aborted) {
      await clock.sleep(DRAW_MS, { signal: over.signal }).catch(() => {})
      // Waits count down, so there is something new each time.
      if (drawn > 0) draw()
    }
  }
  const drawing = drawAgain()

  return {
    told: () => {
      trouble = undefined
      if (drawn === 0) draw()
    },
    lost: (why) => {
      trouble = `connecting again: ${why}`.slice(0, widthOf(out))
    },
    [Symbol.asyncDispose]: async () => {
      over.abort()
      await drawing
      draw()
      out.write(SHOW_CURSOR)
    },
  }
}

/** Columns that are written to. A terminal that does not say its size is taken to be 80 by 24. */
function widthOf({ columns }: NodeJS.WriteStream): number {
  return (columns > 0 ? columns : 80) - 1
}

/** Rows of the board: below it there is room for a line about the connection, and for the cursor. */
function heightOf({ rows }: NodeJS.WriteStream): number {
  return Math.max(1, (rows > 0 ? rows : 24) - 2)
}

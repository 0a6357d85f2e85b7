/** What a process asked the kernel for, in order, as strace wrote it down. */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'

export interface Syscall {
  readonly name: string
  /** Paths stand beside file descriptors: `fsync` has `23</path/of/file>`. Bytes that are not printable are escaped. */
  readonly args: string
  /** Line of the trace where it began, and where it was over: calls of several threads overlap. */
  readonly began: number
  readonly ended: number
}

/** Whether processes can be traced here; where not, tests say that they were skipped. */
export const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

/** Bytes shown of what is written: a batch of the index, or the head of an answer. */
const SHOWN_BYTES = 16_384

/** To be put before the command. The tracer is no parent of it: signals reach the command itself. */
export function traceTo(file: string, names: readonly string[]): readonly string[] {
  const what = ['-e', `trace=${names.join(',')}`, '-e', 'signal=none']
  return ['strace', '-D', '-f', '-y', '-s', String(SHOWN_BYTES), ...what, '-o', file]
}

/** The calls that succeeded. */
export async function readTrace(file: string): Promise<readonly Syscall[]> {
  const calls: Syscall[] = []
  /** Calls under way, one a thread. */
  const begun = new Map<string, { readonly text: string; readonly line: number }>()
  const lines = (await readFile(file, 'utf8')).split('\n')
  for (const [line, text] of lines.entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(text) ?? []
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest)
    if (unfinished !== null) {
      begun.set(thread, { text: unfinished[1] ?? '', line })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    const start = resumed === null ? undefined : begun.get(thread)
    const whole = `${start?.text ?? ''}${resumed?.[1] ?? rest}`
    const [, name, args, result] = /^(\w+)\((.*)\) += (-?\d+)/.exec(whole) ?? []
    if (name === undefined || args === undefined || Number(result) < 0) continue
    calls.push({ name, args, began: start?.line ?? line, ended: line })
  }
  return calls
}

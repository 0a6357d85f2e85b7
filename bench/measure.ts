/** What the benchmarks share: medians, what a process used, and where the figures go. */
import { readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, release, totalmem } from 'node:os'

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The value that so large a share of all is not above. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Three significant digits: more is noise. */
export function short(value: number): number {
  return Number(value.toPrecision(3))
}

/** Resident memory of a process, MiB (Linux). */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** The most that it ever was, MiB. */
export function peakResidentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** Clock ticks a second in /proc: fixed at 100 for programs on Linux. */
const TICKS_PER_SECOND = 100

/** Processor seconds of a process and its children so far (Linux). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold spaces; user and system time are fields 14 and 15, the state after the name is 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children
    .split(' ')
    .filter(Boolean)
    .reduce((sum, child) => sum + cpuSeconds(Number(child)), own)
}

/** Where the figures are from: without it they say nothing. */
export function machine() {
  const [first] = cpus()
  return {
    takenAt: new Date().toISOString(),
    cores: cpus().length,
    processor: first?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `Linux ${release()} ${arch()}`,
    node: process.version,
  }
}

/** Writes figures to the file that `--json` names, where it does. */
export function writeJson(file: string | undefined, report: object): void {
  if (file === undefined) return
  writeFileSync(file, `${JSON.stringify({ machine: machine(), ...report }, undefined, 2)}\n`)
}

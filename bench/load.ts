/** Load on a server, and what came of it. */
export interface Load {
  /** Answers that came whole, each checked for its length. */
  readonly requests: number
  /** Of their bodies, or of what was pushed. */
  readonly bytes: number
  readonly seconds: number
  /** Milliseconds; where the generator knows. */
  readonly p50Ms?: number
  readonly p99Ms?: number
}

/** Runs `work` on so many workers side by side, each given its number. */
export async function sideBySide(
  workers: number,
  work: (worker: number) => Promise<void>,
): Promise<number> {
  const start = performance.now()
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  return (performance.now() - start) / 1000
}

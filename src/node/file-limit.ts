/** Whether the open files that the system allows are enough for what the bounds allow. */
import { readFile } from 'node:fs/promises'
import type { Logger } from '../lib/logger.ts'
import type { Bounds } from './bounds.ts'

/** Files of the index, the mesh, libraries and logs: LevelDB alone keeps up to 1,000 tables open. */
const RESERVED = 1_500

/** Warns when connections could use up the open files: accepting then fails for everybody, and so do reads. */
export async function warnOfFileLimit(
  logger: Logger,
  { connections, requests }: Pick<Bounds, 'connections' | 'requests'>,
): Promise<void> {
  const needed = connections + requests + RESERVED
  const allowed = await allowedFiles()
  if (allowed === undefined || allowed >= needed) return
  logger.warn(
    { allowed, needed },
    'fewer open files allowed than the bounds need: raise LimitNOFILE, or lower --limit connections',
  )
}

/** The limit of this process, which Node has raised as far as it may; undefined where the system does not say (no Linux). */
async function allowedFiles(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? []
  return soft === undefined ? undefined : Number(soft)
}

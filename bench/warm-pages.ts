/** Before something is written that is measured: memory that the machine really has, and a disk without a backlog. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CHUNK_BYTES = 8 * 1024 * 1024
/** Bytes: more than a case writes in a round. */
const SCRATCH_BYTES = 768 * 1024 * 1024

/**
 * A virtual machine gets its memory page by page from the host, and gives free pages back within seconds: the first touch of
 * a page costs five times as much as writing it to the disk, whoever happens to need it. So a scratch file touches enough of them and is removed.
 */
export function warmPages(): void {
  const path = join(tmpdir(), `entrepot-bench-scratch-${process.pid}`)
  const file = openSync(path, 'w')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES, 1)
    for (let at = 0; at < SCRATCH_BYTES; at += CHUNK_BYTES) writeSync(file, chunk)
  } finally {
    closeSync(file)
    rmSync(path)
  }
  // What an earlier push left to write is not on the next one's bill.
  execFileSync('sync')
}

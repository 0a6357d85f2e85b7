/** Gives memory back to the system: what only the start of a process needed, an idle one should not hold. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** V8's own, of which Node shows nothing else: the flavour gives free pages back and makes the young generation small again. */
type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void

/**
 * Loading the modules lets the young generation grow to 32 MiB, and V8 shrinks it only when memory is short. Blocks the
 * process for some 50 ms: to be called when the start is over and nobody waits. Without V8's collector to call it does nothing.
 */
export function giveBackSpareMemory(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc') as Collect | undefined
  collect?.({ type: 'major', flavor: 'last-resort' })
}

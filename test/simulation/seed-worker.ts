/** A thread that runs seeds, one message each; on the real code, or on code with one planted bug. */
import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { Mutation } from './mutations.ts'

const { mutation } = workerData as { readonly mutation?: Mutation }
if (mutation !== undefined) plant(mutation)
// After the hook: what it changes must not be loaded yet.
const { runSeed } = await import('./seeds.ts')

parentPort?.on('message', (seed: number) => {
  // It throws nothing: what goes wrong is its outcome.
  void runSeed(seed, mutation?.faults).then((outcome) => parentPort?.postMessage(outcome))
})

function plant({ file, from, to }: Mutation): void {
  const url = new URL(`../../${file}`, import.meta.url).href
  registerHooks({
    load: (specifier, context, nextLoad) => {
      const loaded = nextLoad(specifier, context)
      if (specifier !== url) return loaded
      const source = Buffer.from(loaded.source as Uint8Array).toString()
      if (source.split(from).length !== 2) throw new Error(`${file} must have once: ${from}`)
      return { ...loaded, source: source.replace(from, () => to) }
    },
  })
}

#!/usr/bin/env node
/** The entry: refuses a Node.js that is too old before anything is loaded that it could not read, then runs the program. */

/** Node.js runs the `.ts` files as they are, and knows `await using`, since then. */
const OLDEST_NODE = 24

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(
    `entrepot: Node.js ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}; run it through npm (npx entrepot ...), which brings the right one\n`,
  )
  process.exitCode = 1
} else {
  const { runProgram } = await import('./program.ts')
  process.exitCode = await runProgram(process.argv.slice(2))
}

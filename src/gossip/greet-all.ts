/** Tells every neighbour that is up what has changed here. */
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { Greeter } from './hello.ts'

export interface GreetAllDeps {
  readonly greeter: Greeter
  readonly neighbours: Neighbours
  readonly logger: Logger
}

/** A key that is no longer served should not be believed on. Who misses this asks when it meets the new key. */
export function greetAll({ greeter, neighbours, logger }: GreetAllDeps): void {
  for (const { name: neighbour, state } of neighbours.list()) {
    if (state === 'down') continue
    greeter.again(neighbour).catch((err: unknown) => {
      logger.warn({ neighbour, reason: messageOf(err) }, 'what changed here was not announced')
    })
  }
}

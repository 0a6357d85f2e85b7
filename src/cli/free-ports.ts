/** Free loopback ports for a mesh on one machine; the wished ones where they are free, so that a restart keeps them. */
import { createServer } from 'node:net'
import { EntrepotError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'

/** Below the range from which systems take the ports of outgoing connections (32768 on Linux): none is lost to one of those. */
const [FIRST, LAST] = [20_000, 29_999]
/** Ports tried for one node before it is given up: so many taken ones in a row are no accident. */
const MAX_TRIES = 200

export interface FreePorts {
  /** `wished` where it is free, else another one; never the same port twice. @throws NO_FREE_PORT */
  take(wished: number | undefined): Promise<number>
}

export function createFreePorts({ random }: { readonly random: Random }): FreePorts {
  const given = new Set<number>()

  async function isFree(port: number): Promise<boolean> {
    return !given.has(port) && (await canListen(port))
  }

  return {
    take: async (wished) => {
      let port = wished
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        if (port !== undefined && (await isFree(port))) {
          given.add(port)
          return port
        }
        port = FIRST + Math.floor(random.fraction() * (LAST - FIRST + 1))
      }
      const message = `no free port found on 127.0.0.1 between ${FIRST} and ${LAST}; give the nodes an endpoint and a mesh address in the file`
      throw new EntrepotError('NO_FREE_PORT', message)
    },
  }
}

function canListen(port: number): Promise<boolean> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return Promise.resolve(false)
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Which certificate authorities a node believes when it asks others: the system's, and those of `--tls-ca`. */
import type { SecureContext } from 'node:tls'
import { authoritiesIn, trusting } from '../lib/certificate.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { readFiles, watchFiles } from '../lib/watched-files.ts'

export interface Trust extends Disposable {
  /** For connections made from now on. */
  context(): SecureContext
}

export interface TrustDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** @throws TLS_INVALID when the file holds no certificates; what is wrong with it later is logged and not taken. */
export async function openTrust(
  caFile: string | undefined,
  { clock, logger }: TrustDeps,
): Promise<Trust> {
  const files = await readFiles(caFile === undefined ? [] : [caFile])
  let extra = files.flatMap(authoritiesIn)
  /** Made when it is first asked for: a mesh without TLS does not read hundreds of roots. */
  let context: SecureContext | undefined
  const stop = new AbortController()
  if (files.length > 0) {
    void watchFiles(files, { clock, signal: stop.signal }, (changed) => {
      try {
        extra = changed.flatMap(authoritiesIn)
      } catch (err) {
        const reason = messageOf(err)
        logger.warn({ reason }, 'changed authorities not taken: the former ones are believed on')
        return
      }
      context = undefined
      logger.info({ authorities: extra.length }, 'new authorities taken')
    })
  }
  return {
    context: () => {
      context ??= trusting(extra)
      return context
    },
    [Symbol.dispose]: () => stop.abort(),
  }
}

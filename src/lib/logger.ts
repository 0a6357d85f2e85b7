/** Logs are JSON lines on standard error, one pino child per room; secrets are redacted here and nowhere else. */
import { pino } from 'pino'

/** What rooms see of pino. Fields first, then a short constant message in lower case. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const REDACTED = ['authorization', 'token', 'password', '*.authorization', '*.token', '*.password']

export function createLogger(
  fields: object,
  { logLevel }: { readonly logLevel: LogLevel },
): Logger {
  return pino(
    {
      level: logLevel,
      base: fields,
      redact: REDACTED,
      serializers: { err: pino.stdSerializers.err },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** Says nothing; for tests and for parts that were given no logger. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}

/** The answer to a request that a node cannot take now: 503, when to come, and why, in the status text too. */
import { reasonPhrase } from '../lib/reason-phrase.ts'

/** `why` stands before `; try again in ... s`. */
export function putOff(path: string, why: string, retryAfterS: number): Response {
  const message = `${why}; try again in ${retryAfterS} s`
  const error = { code: 'TOOMANYREQUESTS', message }
  const body = path.startsWith('/v2') ? { errors: [error] } : { error }
  const headers = { 'retry-after': String(retryAfterS) }
  return Response.json(body, { status: 503, statusText: reasonPhrase(message), headers })
}

/** Pushes that a client is sent elsewhere with: to the same path at a writer. */
import {
  ABSOLUTE_LOCATION,
  candidates,
  type Elsewhere,
  type ElsewhereRequest,
  isPush,
  noneLives,
  queryOf,
  type RepositoryTarget,
  refusePassed,
  withQuery,
} from './elsewhere.ts'
import { pathOf } from './path.ts'

/** 307, which keeps method and body. @throws OciError when no writer lives */
export async function redirectPush(
  elsewhere: Elsewhere,
  request: ElsewhereRequest,
  target: RepositoryTarget,
): Promise<Response> {
  refusePassed(request, target)
  for (const writer of candidates(elsewhere, target)) {
    if (!(await elsewhere.isAnswering(writer))) continue
    if (isPush(request)) elsewhere.writers.took(target.repository, writer.name)
    const query = queryOf(request)
    if (target.kind === 'uploads') query.set(ABSOLUTE_LOCATION, 'absolute')
    const location = `${writer.endpoint}${withQuery(pathOf(target), query)}`
    return new Response(null, { status: 307, headers: { location, 'content-length': '0' } })
  }
  throw noneLives(elsewhere, target, [])
}

/** The query of a request, read by the schema that the OpenAPI document shows. */
import { z } from 'zod'
import type { AdminContext } from './caller.ts'
import { failure } from './failure.ts'

/** Rows in one answer by default and at most. */
const PAGE = { default: 100, max: 1_000 }

/** Parameters of every list that comes in pages, as the lists of the registry do. */
export const PAGE_QUERY = {
  n: z
    .string()
    .regex(/^\d{1,9}$/, 'expected a whole number')
    .transform((text) => Math.min(Math.max(1, Number(text)), PAGE.max))
    .default(PAGE.default)
    .meta({ description: `Rows in one answer, ${PAGE.max} at most; ${PAGE.default} by default` }),
  last: z
    .string()
    .max(1_024)
    .default('')
    .meta({ description: 'Where the page before ended: its `next`' }),
}

/** @returns what was asked for, or the refusal */
export function readQuery<Shape extends z.ZodObject>(
  context: AdminContext,
  shape: Shape,
): z.output<Shape> | Response {
  const parse = shape.safeParse(context.req.query())
  if (parse.success) return parse.data
  const problems = parse.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
  return failure(context, 400, 'QUERY_INVALID', problems.join('; '))
}

export const QUERY_INVALID = 'QUERY_INVALID: a parameter is not known, or not what was expected'

/** The answer to a list: where there are more rows, `next` and a Link header (RFC 8288) lead to them. */
export function page<Rows extends object>(
  context: AdminContext,
  rows: Rows,
  next: string | undefined,
): Response {
  if (next === undefined) return context.json(rows)
  const url = new URL(context.req.url)
  url.searchParams.set('last', next)
  return context.json({ ...rows, next }, 200, {
    link: `<${url.pathname}${url.search}>; rel="next"`,
  })
}

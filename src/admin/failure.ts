/** Failures as the administration API tells them. */
import type { Context } from 'hono'
import type { AdminContext, Refusal } from './caller.ts'

export function refused(context: AdminContext, { status, code, message }: Refusal): Response {
  return failure(context, status, code, message)
}

export function failure(
  context: Context,
  status: 400 | 401 | 403 | 404 | 409 | 500 | 503,
  code: string,
  message: string,
): Response {
  return context.json({ error: { code, message } }, status)
}

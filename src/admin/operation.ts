/** What a route of the administration API promises: its piece of the OpenAPI document, beside the route that keeps it. */
import type { z } from 'zod'

export interface Operation {
  /** With `{name}` for what varies. */
  readonly path: string
  readonly method: 'get' | 'post' | 'delete'
  readonly summary: string
  /** Its keys are the parameters. */
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** Of success; 200 where it is absent. */
  readonly status?: 202
  /** Of success; a media type where it is no JSON. */
  readonly answer: z.ZodType | 'text/event-stream' | 'text/plain'
  /** What it answers beside that: a description, and a schema where it is no failure. */
  readonly others?: Readonly<Record<number, Answer>>
  /** It needs the rights of an operator. */
  readonly isActing?: true
  /** Everybody may ask, without an account. */
  readonly isOpen?: true
}

export interface Answer {
  /** Of a failure: its codes and when they come. */
  readonly description: string
  readonly schema?: z.ZodType
}

/** The Range header (RFC 9110 section 14): one range of bytes; one that ends before it begins is refused, others are passed over. */
import type { ByteRange } from '../storage/blob-store.ts'

export type RangeAsk =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' }

export function parseRange(header: string | undefined, size: number): RangeAsk {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  const [, first = '', last = ''] = match ?? []
  if (match === null || (first === '' && last === '')) return { kind: 'whole' }
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0
      ? { kind: 'unsatisfiable' }
      : { kind: 'part', range: { start: size - length, end: size } }
  }
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  const isBackwards = last !== '' && Number(last) < start
  return isBackwards || start >= size
    ? { kind: 'unsatisfiable' }
    : { kind: 'part', range: { start, end } }
}

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { pageOf } from '../../../src/queue/job-page.ts'

type Row = Pick<JobView, 'id' | 'attempts'>

const rows = fc.array(fc.record({ id: fc.string({ maxLength: 2 }), attempts: fc.nat(3) }), {
  maxLength: 60,
})

test('pages one after the other are all jobs that fit, by id, each once: open, or as it ended last', () => {
  fc.assert(
    fc.property(
      rows,
      rows,
      fc.nat(3),
      fc.integer({ min: 1, max: 9 }),
      (now, before, most, limit) => {
        const open = new Map(now.map((row) => [row.id, row]))
        const newest = before.map((row, at) => ({ number: 99 - at, job: row as JobView }))
        const fits = ({ attempts }: Row) => attempts <= most
        const pages: Row[] = []
        for (let after = ''; ; ) {
          const ask = { after, fits, limit }
          const page = pageOf(open, (row) => row as JobView, newest, ask)
          pages.push(...page)
          const last = page.at(-1)?.id
          if (page.length < limit || last === undefined) break
          after = last
        }
        const all = new Map<string, Row>()
        for (const row of [...open.values(), ...before]) if (!all.has(row.id)) all.set(row.id, row)
        const expected = [...all.values()].filter((row) => row.id > '' && fits(row))
        expect(pages).toEqual(expected.sort((a, b) => (a.id < b.id ? -1 : 1)))
      },
    ),
  )
})

test('of many jobs only those are looked at that may be on the page', () => {
  const open = new Map(Array.from({ length: 10_000 }, (_, at) => [`${at}`, { id: `${at}` }]))
  let viewed = 0
  const view = (job: { readonly id: string }) => {
    viewed += 1
    return job as JobView
  }
  const page = pageOf(open, view, [], { after: '', fits: () => true, limit: 3 })
  expect(page.map(({ id }) => id)).toEqual(['0', '1', '10'])
  expect(viewed).toBeLessThan(100)
})

import { describe, expect, test } from 'vitest'
import {
  clockReaders,
  edgesOf,
  forbiddenImports,
  importCycles,
  misplacedFiles,
  type Sources,
} from './rules.ts'

describe('architecture / rules', () => {
  test.each([
    { name: 'a side effect', text: `import '../queue/jobs.ts'` },
    { name: 'a value', text: `import { a } from '../queue/jobs.ts'` },
    { name: 'a type', text: `import type { A } from '../queue/jobs.ts'` },
    { name: 'an inline type', text: `import { type A } from '../queue/jobs.ts'` },
    { name: 'a type in place', text: `let a: import('../queue/jobs.ts').A` },
    { name: 'a type of a module', text: `let a: typeof import('../queue/jobs.ts')` },
    { name: 'a dynamic import', text: `const a = await import('../queue/jobs.ts')` },
    { name: 'a re-export', text: `export { a } from '../queue/jobs.ts'` },
    { name: 're-exported types', text: `export type { A } from '../queue/jobs.ts'` },
    { name: 'everything re-exported', text: `export * from '../queue/jobs.ts'` },
    { name: 'an import equals', text: `import a = require('../queue/jobs.ts')` },
    { name: 'a require', text: `const a = require('../queue/jobs.ts')` },
    { name: 'a worker', text: `new Worker(new URL('../queue/jobs.ts', import.meta.url))` },
  ])('an import upwards is found: $name', ({ text }) => {
    const sources = tree({ 'src/storage/blobs.ts': text, 'src/queue/jobs.ts': '' })
    expect(forbiddenImports(sources)).toEqual([
      'src/storage/blobs.ts imports src/queue/jobs.ts: storage (3) may not know queue (5)',
    ])
  })

  test('comments and strings are no imports', () => {
    const text = `// import '../queue/jobs.ts'\nconst a = "import '../queue/jobs.ts'"`
    expect(edgesOf(tree({ 'src/storage/blobs.ts': text }))).toEqual([])
  })

  test('a room imports lower rooms and itself, and nothing beside it', () => {
    const files = {
      'src/storage/index-keys.ts': '',
      'src/oci/digest.ts': '',
      'src/peers/seen.ts': '',
    }
    const importing = (path: string) =>
      forbiddenImports(tree({ ...files, 'src/storage/blobs.ts': `import '${path}'` }))
    expect(importing('./index-keys.ts')).toEqual([])
    expect(importing('../oci/digest.ts')).toEqual([])
    expect(importing('../peers/seen.ts')).toHaveLength(1)
  })

  test.each([
    { from: 'src/gossip/network.ts', name: '@libp2p/tcp', findings: 0 },
    { from: 'src/storage/blobs.ts', name: '@libp2p/tcp', findings: 1 },
    { from: 'src/registry/routes.ts', name: 'hono/cors', findings: 0 },
    { from: 'src/transfer/pull.ts', name: 'hono/cors', findings: 1 },
    { from: 'src/record/peer-id.ts', name: 'multiformats/bases/base58', findings: 0 },
    { from: 'src/storage/index-db.ts', name: 'level', findings: 0 },
    { from: 'src/storage/index-keys.ts', name: 'level', findings: 1 },
    { from: 'src/lib/clock.ts', name: 'a-package-nobody-fenced', findings: 1 },
    { from: 'src/lib/clock.ts', name: 'node:crypto', findings: 0 },
    { from: 'src/lib/clock.ts', name: 'crypto', findings: 1 },
    { from: 'src/lib/clock.ts', name: './missing.ts', findings: 1 },
    { from: 'src/lib/clock.ts', name: '../../test/helpers/fake.ts', findings: 1 },
    { from: 'src/cli/version.ts', name: '../../package.json', findings: 0 },
  ])('$name in $from makes $findings findings', ({ from, name, findings }) => {
    expect(forbiddenImports(tree({ [from]: `import '${name}'` }))).toHaveLength(findings)
  })

  test('a computed import is refused, because nobody can tell what it names', () => {
    const sources = tree({ 'src/cli/main.ts': 'await import(name)' })
    expect(forbiddenImports(sources)).toEqual([
      'src/cli/main.ts imports something computed: write the name',
    ])
  })

  test('a circle of types is a circle', () => {
    const sources = tree({
      'src/lib/a.ts': `import type { B } from './b.ts'`,
      'src/lib/b.ts': `import { c } from './c.ts'`,
      'src/lib/c.ts': `import './a.ts'`,
    })
    expect(importCycles(sources)).toEqual([
      'src/lib/a.ts -> src/lib/b.ts -> src/lib/c.ts -> src/lib/a.ts',
    ])
  })

  test('a worker may know the types of the file that starts it', () => {
    const sources = tree({
      'src/lib/hash.ts': `new Worker(new URL('./hash-worker.ts', import.meta.url))`,
      'src/lib/hash-worker.ts': `import type { Job } from './hash.ts'`,
    })
    expect(importCycles(sources)).toEqual([])
  })

  test.each([
    { path: 'src/main.ts', text: '' },
    { path: 'src/attic/old.ts', text: '' },
    { path: 'src/storage/disk/blobs.ts', text: '' },
    { path: 'src/storage/index.ts', text: '' },
    { path: 'src/storage/blobs.js', text: '' },
    { path: 'src/storage/blobs.d.ts', text: '' },
    { path: 'src/storage/blobs.ts', text: 'a\n'.repeat(401) },
  ])('$path is misplaced', ({ path, text }) => {
    expect(misplacedFiles(tree({ [path]: text }))).not.toEqual([])
  })

  test('a file of exactly 400 lines in a room of the table is in its place', () => {
    expect(misplacedFiles(tree({ 'src/storage/blobs.ts': 'a\n'.repeat(400) }))).toEqual([])
  })

  test('the time is read in lib alone', () => {
    const text = `const then = new Date(0)\nconst now = new Date()`
    expect(clockReaders(tree({ 'src/lib/clock.ts': text }))).toEqual([])
    expect(clockReaders(tree({ 'src/queue/jobs.ts': text }))).toEqual([
      'src/queue/jobs.ts:2 reads the time: take a Clock',
    ])
  })
})

function tree(files: Readonly<Record<string, string>>): Sources {
  return new Map(Object.entries(files))
}

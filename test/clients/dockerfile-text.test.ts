import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, root), 'utf8')

interface Instruction {
  readonly word: string
  readonly rest: string
}

/** Comments away, continued lines joined; one list for each stage. */
function stagesOf(text: string): readonly (readonly Instruction[])[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  const stages: Instruction[][] = []
  for (const line of lines) {
    const [word = '', ...rest] = line.trim().split(/\s+/)
    if (word === 'FROM') stages.push([])
    if (word !== '') stages.at(-1)?.push({ word, rest: rest.join(' ') })
  }
  return stages
}

const [build = [], final = []] = stagesOf(read('Dockerfile'))
const all = (stage: readonly Instruction[], wanted: string) =>
  stage.filter(({ word }) => word === wanted).map(({ rest }) => rest)

test('the image runs a node as a user that is not root, with its data in a volume, its ports said and its health asked', () => {
  expect(all(final, 'USER')).toEqual(['entrepot'])
  expect(all(final, 'VOLUME')).toEqual(['/data'])
  expect(all(final, 'EXPOSE')).toEqual(['5000 4001'])
  expect(all(final, 'HEALTHCHECK')[0]).toContain('/readyz')
  // Without a shell between: signals reach the node.
  expect(JSON.parse(all(final, 'ENTRYPOINT')[0] ?? '')).toEqual(['node', '/app/src/cli/main.ts'])
  expect(JSON.parse(all(final, 'CMD')[0] ?? '')).toEqual(['serve'])
})

test('everything that is copied into the image exists and reaches the builder', () => {
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  const present = readdirSync(root)
  const copied = all(build, 'COPY')
    .flatMap((rest) => rest.split(' ').slice(0, -1))
    .map((path) => path.replace('./', ''))
  expect(copied.length).toBeGreaterThan(3)
  for (const path of copied) {
    expect(present).toContain(path)
    expect(allowed, `.dockerignore lets ${path} through`).toContain(path)
  }
})

test('only what runs is installed: by the lock file, without development, without scripts', () => {
  const install = all(build, 'RUN').find((rest) => rest.startsWith('npm ci'))
  expect(install).toContain('--omit=dev')
  expect(install).toContain('--ignore-scripts')
})

/** The rules of the house as pure functions over the source files. Each returns its findings, as sentences. */
import { matchesGlob, posix } from 'node:path'
import { FENCES, LAYERS } from './layers.ts'
import { importsOf, linesThatReadTheClock } from './source-imports.ts'

/** Text by path (`src/<room>/<file>.ts`), from the root of the checkout. */
export type Sources = ReadonlyMap<string, string>

export interface Edge {
  readonly from: string
  /** A path for a file of ours, the name as written for a package; undefined when it is computed. */
  readonly to: string | undefined
  /** False for a file that is named by a URL: it runs elsewhere and closes no cycle. */
  readonly imports: boolean
}

/** Lines. Longer files hold more than one thing. */
const MAX_LINES = 400
/** The only file outside src/ that may be imported: the version stands there. */
const PACKAGE_JSON = 'package.json'

/** Each rule asks for them. */
const known = new WeakMap<Sources, readonly Edge[]>()

export function edgesOf(sources: Sources): readonly Edge[] {
  const edges = known.get(sources) ?? findEdges(sources)
  known.set(sources, edges)
  return edges
}

function findEdges(sources: Sources): readonly Edge[] {
  return [...sources].flatMap(([from, text]) =>
    importsOf(from, text).map(({ specifier, kind }) => ({
      from,
      to: specifier?.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier,
      imports: kind === 'import',
    })),
  )
}

/** Files that stand where no file should stand, have a name that says nothing, or are too long. */
export function misplacedFiles(sources: Sources): readonly string[] {
  return [...sources].flatMap(([path, text]) => {
    const room = roomOf(path)
    const lines = text.replace(/\n$/, '').split('\n').length
    return [
      ...(/^src\/[^/]+\/[^/]+$/.test(path)
        ? []
        : [`${path} does not stand at src/<room>/<file>.ts`]),
      ...(LAYERS[room] === undefined ? [`${path}: the room ${room} is not in layers.ts`] : []),
      ...(path.endsWith('.ts') && !path.endsWith('.d.ts') ? [] : [`${path} is not a .ts file`]),
      ...(/\/index\.\w+$/.test(path) ? [`${path} is a barrel: import from the file itself`] : []),
      ...(lines > MAX_LINES ? [`${path} has ${lines} lines, ${MAX_LINES} are the limit`] : []),
    ]
  })
}

export function forbiddenImports(sources: Sources): readonly string[] {
  return edgesOf(sources).flatMap(({ from, to, imports }) => {
    if (to === undefined) return [`${from} imports something computed: write the name`]
    if (to.startsWith('node:') || to === PACKAGE_JSON) return []
    if (sources.has(to)) return forbiddenRoom(from, to)
    if (!imports) return []
    if (isPath(to)) return [`${from} imports ${to}, which is no file of src/`]
    return fencedPackage(from, packageOf(to))
  })
}

function forbiddenRoom(from: string, to: string): readonly string[] {
  const [here, there] = [roomOf(from), roomOf(to)]
  if (here === there) return []
  const [layer, lower] = [LAYERS[here] ?? -1, LAYERS[there] ?? Infinity]
  if (lower < layer) return []
  return [`${from} imports ${to}: ${here} (${layer}) may not know ${there} (${lower})`]
}

function fencedPackage(from: string, name: string): readonly string[] {
  const fence = FENCES.find(({ packages }) =>
    packages.some((pattern) => matchesGlob(name, pattern)),
  )
  if (fence === undefined) return [`${from} imports ${name}, which has no fence in layers.ts`]
  if (fence.files.some((pattern) => matchesGlob(from, pattern))) return []
  return [`${from} imports ${name}, which belongs to ${fence.files.join(', ')}`]
}

/** Each cycle once, as `a -> b -> a`. Types count: files that know each other are one file in two places. */
export function importCycles(sources: Sources): readonly string[] {
  const targets = new Map<string, string[]>([...sources.keys()].map((path) => [path, []]))
  for (const { from, to, imports } of edgesOf(sources)) {
    if (imports && to !== undefined && sources.has(to)) targets.get(from)?.push(to)
  }
  const cycles: string[] = []
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path)
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '))
    if (start >= 0 || done.has(path)) return
    for (const target of targets.get(path) ?? []) walk(target, [...trail, path])
    done.add(path)
  }
  for (const path of sources.keys()) walk(path, [])
  return cycles
}

/** The linters refuse `Date.now` and the timers; this refuses the other ways to read the system's time. */
export function clockReaders(sources: Sources): readonly string[] {
  return [...sources]
    .filter(([path]) => roomOf(path) !== 'lib')
    .flatMap(([path, text]) =>
      linesThatReadTheClock(path, text).map(
        (line) => `${path}:${line} reads the time: take a Clock`,
      ),
    )
}

function roomOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function isPath(to: string): boolean {
  return /^(\.|\/|src\/)/.test(to) || /\.(?:ts|js|json)$/.test(to)
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** `extends`: a policy is completed from another one before anything is validated; what is wrong there is told there alone. */
import { type Findings, type Path, suggestion } from './findings.ts'
import { at } from './readable.ts'

export interface Extended {
  /** The file's value with every policy complete. `extends` still stands where it was written. */
  readonly value: unknown
  /** Whether what stands at a path, or is missing there, is not this policy's own: it is told where it is written. */
  isInherited(path: Path): boolean
}

type RawMap = Readonly<Record<string, unknown>>

interface Chain {
  /** The policy itself, what it extends, what that extends, and so on. */
  readonly names: readonly string[]
  /** The last one extends what nobody knows, or one of the chain: what is missing may be there. */
  readonly isBroken: boolean
}

export function resolveExtends(value: unknown, findings: Pick<Findings, 'add'>): Extended {
  const policies = at(value, ['policies'])
  if (!isMap(value) || !isMap(policies)) return { value, isInherited: () => false }
  const chains = new Map(Object.keys(policies).map((name) => [name, chainOf(name, policies)]))
  tellFaults(policies, chains, findings)

  const complete = Object.entries(policies).map(([name, policy]) => {
    const bases = (chains.get(name)?.names ?? []).slice(1).map((base) => policies[base])
    return [name, bases.reduce<unknown>((own, base) => completed(own, base), policy)] as const
  })

  return {
    value: { ...value, policies: Object.fromEntries(complete) },
    isInherited: ([section, name, key, inner]) => {
      const { names, isBroken } = chains.get(String(name)) ?? { names: [], isBroken: false }
      if (section !== 'policies' || key === undefined || names.length === 0) return false
      const inside = key === 'match' && inner !== undefined ? [key, inner] : [key]
      const writer = names.find((one) => at(policies[one], inside) !== undefined)
      return writer === undefined ? isBroken || names.length > 1 : writer !== name
    },
  }
}

/** What a policy says itself comes first; of `match` each key by itself. */
function completed(own: unknown, base: unknown): unknown {
  if (!isMap(own) || !isMap(base)) return own
  const { extends: _, ...inherited } = base
  const matches = [at(base, ['match']), at(own, ['match'])].filter(isMap)
  const match = matches.length === 2 ? { match: Object.assign({}, ...matches) as unknown } : {}
  const whole: RawMap = { ...inherited, ...own, ...match }
  // Another mode leaves the windows behind: they could not be taken away otherwise.
  const isOther = (at(own, ['mode']) ?? 'scheduled') !== 'scheduled'
  if (isOther && !Object.hasOwn(own, 'schedule')) Reflect.deleteProperty(whole, 'schedule')
  return whole
}

function chainOf(name: string, policies: RawMap): Chain {
  const names = [name]
  for (;;) {
    const base = baseOf(policies[names.at(-1) ?? name])
    if (base === undefined) return { names, isBroken: false }
    if (names.includes(base) || !Object.hasOwn(policies, base)) return { names, isBroken: true }
    names.push(base)
  }
}

/** A name that nobody has, and each circle once. */
function tellFaults(
  policies: RawMap,
  chains: ReadonlyMap<string, Chain>,
  findings: Pick<Findings, 'add'>,
): void {
  const told = new Set<string>()
  for (const [name, { names }] of chains) {
    const base = baseOf(policies[name])
    if (base === undefined) continue
    const path = ['policies', name, 'extends']
    if (!Object.hasOwn(policies, base)) {
      const others = Object.keys(policies).filter((other) => other !== name)
      findings.add(path, `unknown policy "${base}"${suggestion(base, others)}`)
    }
    const isCircle = baseOf(policies[names.at(-1) ?? name]) === name
    if (!isCircle || names.some((one) => told.has(one))) continue
    for (const one of names) told.add(one)
    findings.add(path, `a policy cannot extend itself: ${[...names, name].join(' extends ')}`)
  }
}

function baseOf(policy: unknown): string | undefined {
  const base = at(policy, ['extends'])
  return typeof base === 'string' ? base : undefined
}

function isMap(value: unknown): value is RawMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

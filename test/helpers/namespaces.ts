/**
 * A network of machines that are network namespaces: each has an address of its own behind a bridge, links between two of
 * them can be cut, whole machines unplugged and slowed. The test itself is one more machine on the bridge, and reaches all
 * of them whatever is cut. Needs root on Linux.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Place } from './mesh-process.ts'

export interface Namespaces extends Disposable {
  /** Where a node of this name runs. @throws when there is no such machine */
  place(name: string): Place
  /** Cuts what `from` sends to `to`; what comes the other way still arrives. */
  cutOneWay(from: string, to: string): void
  /** Cuts every pair of machines of different sides, both ways. */
  partition(...sides: readonly (readonly string[])[]): void
  /** Every cut is mended. */
  heal(): void
  /** Bits per second to and from the machine, each way. */
  shape(name: string, bitsPerSecond: number): void
  /** Bytes that came in at the machine so far, headers included. */
  receivedBytes(name: string): number
}

/** Where `ip netns` keeps them. */
const NAMESPACES = '/run/netns'
const PREFIX = 'entrepot-'
const REGISTRY_PORT = 5000
const MESH_PORT = 4001

/** Whether this machine lets us make namespaces; where not, tests say that they were skipped. */
export const canMakeNamespaces = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  try {
    execFileSync('unshare', ['-n', 'ip', ...veth('v0', 'v1')], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
})()

export function makeNamespaces(names: readonly string[]): Namespaces {
  removeLeftovers()
  const own = `${PREFIX}${process.pid}`
  const subnet = freeSubnet()
  const machines = new Map(
    names.map((name, at) => [
      name,
      { namespace: `${own}-${name}`, device: `m${at}`, address: `${subnet}.${at + 10}` },
    ]),
  )
  const cuts = new Set<string>()
  using building = new DisposableStack()

  // The bridge has a namespace of its own, where no other program filters what passes.
  const bridge = `${own}-bridge`
  addNamespace(bridge, building)
  ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge')
  ip('-n', bridge, 'link', 'set', 'br0', 'up')
  const door = `ep${process.pid}`
  ip(...veth(door, 'door'), 'netns', bridge)
  // Not left to its namespace, which goes some time later: the name is needed again.
  building.defer(() => void ip('link', 'del', door))
  ip('-n', bridge, 'link', 'set', 'door', 'master', 'br0', 'up')
  ip('addr', 'add', `${subnet}.1/24`, 'dev', door)
  ip('link', 'set', door, 'up')
  for (const { namespace, device, address } of machines.values()) {
    addNamespace(namespace, building)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    ip('-n', namespace, ...veth('eth0', device), 'netns', bridge)
    ip('-n', bridge, 'link', 'set', device, 'master', 'br0', 'up')
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', namespace, 'link', 'set', 'eth0', 'up')
  }
  const parts = building.move()

  function find(name: string) {
    const machine = machines.get(name)
    if (machine === undefined) throw new Error(`no machine ${name}; there are ${names.join(', ')}`)
    return machine
  }

  function cutOneWay(from: string, to: string): void {
    if (from === to || cuts.has(`${from} ${to}`)) return
    cuts.add(`${from} ${to}`)
    ip('-n', find(from).namespace, 'route', 'add', 'blackhole', find(to).address)
  }

  return {
    place: (name) => {
      const { namespace, address } = find(name)
      return {
        endpoint: `http://${address}:${REGISTRY_PORT}`,
        mesh: `/ip4/${address}/tcp/${MESH_PORT}`,
        within: ['ip', 'netns', 'exec', namespace],
      }
    },
    cutOneWay,
    partition: (...sides) => {
      for (const [at, side] of sides.entries()) {
        const others = sides.filter((_, other) => other !== at).flat()
        for (const from of side) for (const to of others) cutOneWay(from, to)
      }
    },
    heal: () => {
      for (const pair of cuts) {
        const [from = '', to = ''] = pair.split(' ')
        ip('-n', find(from).namespace, 'route', 'del', 'blackhole', find(to).address)
      }
      cuts.clear()
    },
    shape: (name, bitsPerSecond) => {
      const { namespace, device } = find(name)
      const rate = [
        'root',
        'tbf',
        'rate',
        `${bitsPerSecond}bit`,
        'burst',
        '64kb',
        'latency',
        '200ms',
      ]
      execFileSync('tc', ['-n', namespace, 'qdisc', 'replace', 'dev', 'eth0', ...rate])
      execFileSync('tc', ['-n', bridge, 'qdisc', 'replace', 'dev', device, ...rate])
    },
    receivedBytes: (name) => {
      const shown = ip('-n', find(name).namespace, '-s', '-j', 'link', 'show', 'eth0')
      const [link] = JSON.parse(shown) as [{ stats64: { rx: { bytes: number } } }]
      return link.stats64.rx.bytes
    },
    [Symbol.dispose]: () => parts.dispose(),
  }
}

/** A pair of devices joined by a wire. */
function veth(one: string, other: string): readonly string[] {
  return ['link', 'add', 'name', one, 'type', 'veth', 'peer', 'name', other]
}

function addNamespace(name: string, building: DisposableStack): void {
  ip('netns', 'add', name)
  // Its devices go with it, and the other ends of theirs.
  building.defer(() => void ip('netns', 'del', name))
}

/** Of test runs that were killed. */
function removeLeftovers(): void {
  if (!existsSync(NAMESPACES)) return
  for (const name of readdirSync(NAMESPACES)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) ip('netns', 'del', name)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** First three numbers of a /24 that no route of this machine knows, from a range set aside for tests of networks (RFC 2544). */
function freeSubnet(): string {
  const routes = readFileSync('/proc/net/route', 'utf8')
  for (let tries = 0; tries < 256; tries += 1) {
    const third = (process.pid + tries) % 256
    const hex = [0, third, 18, 198].map((part) => part.toString(16).padStart(2, '0')).join('')
    if (!routes.includes(hex.toUpperCase())) return `198.18.${third}`
  }
  throw new Error('every subnet of 198.18.0.0/16 is taken')
}

function ip(...words: readonly string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

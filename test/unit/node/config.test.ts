import { describe, expect, test } from 'vitest'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.ts'
import { type NodeFlags, resolveConfig } from '../../../src/node/config.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

function topologyWith(node: string) {
  const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: test, generation: 1 }
nodes: { hub: ${node} }
origins: [{ repos: ["**"], writers: hub }]
policies: {}
links: []
`)
  if (topology === undefined) throw new Error('the topology of the test is valid')
  return topology
}

const LOCAL = '{ endpoint: "http://127.0.0.1:5001", mesh: /ip4/127.0.0.1/tcp/4001 }'
const PUBLIC = '{ endpoint: "http://192.0.2.1:5000", mesh: /ip4/192.0.2.1/tcp/4001 }'
const NEEDED: NodeFlags = { node: 'hub', data: '/data' }

describe('node / config', () => {
  test('what is not said comes from the topology', () => {
    expect(resolveConfig(NEEDED, topologyWith(LOCAL))).toEqual({
      node: 'hub',
      dataDirectory: '/data',
      identityFile: '/data/entrepot/identity.key',
      listen: { host: '127.0.0.1', port: 5001 },
      meshListen: ['/ip4/127.0.0.1/tcp/4001'],
      anonymous: 'push',
      workers: 4,
      readers: 0,
      sparse: 'refuse',
      names: [],
      graces: { supersededMs: 7 * 24 * 3_600_000, unusedMs: 24 * 3_600_000 },
      logLevel: 'info',
      bounds: DEFAULT_BOUNDS,
    })
  })

  test('flags come before the topology', () => {
    const flags = {
      ...NEEDED,
      identity: '/keys/hub',
      listen: '[::1]:6000',
      meshListen: '/ip4/0.0.0.0/tcp/1,/ip6/::/tcp/2',
      anonymous: 'none',
      workers: '9',
      readers: '2',
      sparse: 'accept',
      names: 'Registry.example.com, mesh.test:5000',
      logLevel: 'silent',
    }
    expect(resolveConfig(flags, topologyWith(LOCAL))).toMatchObject({
      identityFile: '/keys/hub',
      listen: { host: '::1', port: 6000 },
      meshListen: ['/ip4/0.0.0.0/tcp/1', '/ip6/::/tcp/2'],
      anonymous: 'none',
      workers: 9,
      readers: 2,
      sparse: 'accept',
      names: ['registry.example.com', 'mesh.test:5000'],
      logLevel: 'silent',
    })
  })

  test.each([
    { node: LOCAL, listen: undefined, right: 'push' },
    { node: LOCAL, listen: 'localhost:1', right: 'push' },
    { node: LOCAL, listen: '[::1]:1', right: 'push' },
    { node: LOCAL, listen: '0.0.0.0:1', right: 'pull' },
    { node: LOCAL, listen: '[::]:1', right: 'pull' },
    { node: PUBLIC, listen: undefined, right: 'pull' },
  ])('clients may $right where the node listens on $listen', ({ node, listen, right }) => {
    expect(resolveConfig({ ...NEEDED, listen }, topologyWith(node)).anonymous).toBe(right)
  })

  test('an endpoint without a port means the one of its scheme', () => {
    const listenOf = (endpoint: string) =>
      resolveConfig(NEEDED, topologyWith(`{ endpoint: "${endpoint}" }`)).listen.port
    expect(listenOf('http://192.0.2.1')).toBe(80)
    expect(listenOf('https://192.0.2.1')).toBe(443)
  })

  test.each([
    { flags: { node: 'nope', data: '/data' }, message: '--node must be one of hub; got nope' },
    { flags: { node: 'hub' }, message: '--data DIR is needed' },
    { flags: { ...NEEDED, listen: '5000' }, message: '--listen must be HOST:PORT' },
    { flags: { ...NEEDED, listen: 'host:70000' }, message: '--listen must be HOST:PORT' },
    { flags: { ...NEEDED, workers: '0' }, message: '--workers must be a whole number' },
    { flags: { ...NEEDED, workers: 'many' }, message: '--workers must be a whole number' },
    { flags: { ...NEEDED, anonymous: 'all' }, message: '--anonymous must be one of none, pull' },
    { flags: { ...NEEDED, sparse: 'yes' }, message: '--sparse must be one of accept, refuse' },
    { flags: { ...NEEDED, names: 'http://a' }, message: '--names must be host[:port]' },
    { flags: { ...NEEDED, logLevel: 'loud' }, message: '--log-level must be one of debug' },
  ])('a wrong flag is refused: $message', ({ flags, message }) => {
    expect(() => resolveConfig(flags, topologyWith(LOCAL))).toThrow(message)
  })

  test('a node without endpoint has to be told where to listen', () => {
    expect(() => resolveConfig(NEEDED, topologyWith('{}'))).toThrow('no endpoint')
  })

  test('a certificate comes with its key, and only where the endpoint says https', () => {
    const secure = topologyWith('{ endpoint: "https://hub.example" }')
    const pair = { tlsCert: '/tls/hub.crt', tlsKey: '/tls/hub.key' }
    expect(resolveConfig({ ...NEEDED, ...pair, tlsCa: '/tls/ca.pem' }, secure)).toMatchObject({
      tls: { cert: '/tls/hub.crt', key: '/tls/hub.key' },
      tlsCa: '/tls/ca.pem',
      listen: { port: 443 },
    })
    const missing = () => resolveConfig({ ...NEEDED, tlsCert: '/tls/hub.crt' }, secure)
    expect(missing).toThrow('--tls-key FILE is needed with --tls-cert')
    const plain = () => resolveConfig({ ...NEEDED, ...pair }, topologyWith(LOCAL))
    expect(plain).toThrow('write endpoint: https://127.0.0.1:5001')
    // A proxy in front of the node may speak TLS for it.
    expect(resolveConfig(NEEDED, secure).tls).toBeUndefined()
  })
})

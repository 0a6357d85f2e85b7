/** Requests that mean harm, as bytes: each part of a request is drawn from what is right, nearly right and wrong. */
import fc from 'fast-check'

const HEX = 'a'.repeat(64)
const DIGEST = `sha256:${HEX}`
const UUID = '0f8fad5b-d9cd-469f-a165-70867728950e'

const fragment = fc.oneof(
  fc.constantFrom(
    'a',
    'A',
    'library/app',
    'a/b',
    '.',
    '..',
    '...',
    '%2e%2e',
    '%2e%2e%2f',
    '..%2f..',
    '%252e%252e',
    '%00',
    '%',
    '%zz',
    '%c0%ae%c0%ae',
    '%ff',
    '%ed%a0%80',
    '\\',
    '..\\..',
    '//',
    ';',
    '_',
    '__',
    'a..b',
    'a.',
    '-',
    '_uploads',
    '_layers',
    'entrepot',
    'identity.key',
    'canary.txt',
    'etc/passwd',
    'a'.repeat(255),
    'a'.repeat(256),
    '%61',
    '%2F',
    '%3A',
    'é',
    '\x80',
    '#',
    '?',
    '{}',
    '*',
    '__proto__',
    'constructor',
    '~',
  ),
  fc.string({
    unit: fc.constantFrom('a', 'Z', '0', '.', '/', '%', '_', '-', '\\', ':', '\x01', '\xff'),
    maxLength: 10,
  }),
)
const name = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('team/app', 'a', 'x/y/z') },
  {
    weight: 3,
    arbitrary: fc.array(fragment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
  },
)
const digest = fc.oneof(
  fc.constantFrom(
    DIGEST,
    DIGEST.toUpperCase(),
    `sha256:${HEX.toUpperCase()}`,
    `sha256:${HEX.slice(1)}`,
    `sha256:${HEX}0`,
    `sha512:${HEX}${HEX}`,
    `sha512:${HEX}`,
    `md5:${HEX.slice(32)}`,
    'sha256:',
    ':',
    `sha256%3A${HEX}`,
    `sha256:../${HEX.slice(3)}`,
  ),
  fragment,
)
const reference = fc.oneof(
  digest,
  fc.constantFrom(
    'v1',
    'latest',
    't'.repeat(128),
    't'.repeat(129),
    '.v1',
    '-v1',
    'v1.',
    'V1',
    '..',
    'a:b',
  ),
)
const query = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '?n=1e9',
      '?n=-1',
      '?n=0',
      '?n=NaN',
      '?n=9999999999999999999999',
      '?n=1&n=2',
      '?last=%00',
      '?last=%ff',
      '?last=~',
      '?n=0x10',
      `?digest=${DIGEST}`,
      `?digest=${DIGEST}&digest=${DIGEST}`,
      '?digest=',
      `?mount=${DIGEST}`,
      `?mount=${DIGEST}&from=../x`,
      `?mount=${DIGEST}&from=team%2Fapp`,
      '?%',
      '?=&=&',
      '?artifactType=%00',
      '?tag=v1&tag=..',
      '?ns=docker.io',
      '?__proto__=1',
      '?repository=..',
      '?repository=team/app&reference=..',
      '?limit=-1',
      '?after=%00',
      '?state=x',
      `?${'x=y&'.repeat(2_000)}`,
    ),
  },
  { weight: 1, arbitrary: fragment.map((text) => `?${text}`) },
)
const path = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(name, reference).map(([n, r]) => `/v2/${n}/manifests/${r}`) },
  { weight: 2, arbitrary: fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/blobs/${d}`) },
  { weight: 2, arbitrary: name.map((n) => `/v2/${n}/blobs/uploads/`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, fc.oneof(fc.constant(UUID), fragment))
      .map(([n, id]) => `/v2/${n}/blobs/uploads/${id}`),
  },
  { weight: 1, arbitrary: fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/referrers/${d}`) },
  { weight: 1, arbitrary: name.map((n) => `/v2/${n}/tags/list`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '/v2',
      '/v2/',
      '/v2//',
      '/v2/_catalog',
      '/',
      '*',
      '',
      '/healthz',
      '/readyz',
      '/api/v1/status',
      '/api/v1/jobs',
      '/api/v1/records',
      '/api/v1/openapi.json',
      '/api/v1/jobs/x',
      '/api/v1/jobs/x/retry',
      '/api/v1/jobs/%/cancel',
      'http://127.0.0.1/v2/',
      'http://[::1/v2/',
      'ftp://x/v2/',
      'http:///v2/',
      '/../v2/',
      '/v2/../../etc/passwd',
      '/V2/',
      '/api/v1/../../etc/passwd',
      '/docker/registry/v2/',
      '/entrepot/identity.key',
      '/canary.txt',
      '/api/v1/gc',
    ),
  },
  { weight: 1, arbitrary: fragment.map((text) => `/${text}`) },
  { weight: 1, arbitrary: fragment.map((text) => `/api/v1/${text}`) },
)

const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'OPTIONS',
      'TRACE',
      'CONNECT',
      'PRI',
      'get',
      'QUERY',
      'PROPFIND',
      'X',
      '',
      'G ET',
    ),
  },
)
const version = fc.oneof(
  { weight: 20, arbitrary: fc.constant('HTTP/1.1') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'HTTP/1.0',
      'HTTP/0.9',
      'HTTP/2.0',
      'HTTP/9.9',
      'http/1.1',
      '',
      'HTTP/1.1 x',
    ),
  },
)
const header = fc.oneof(
  fc.constantFrom(
    'Range: bytes=0-0,5-6',
    'Range: bytes=-0',
    'Range: bytes=9999999999999999999-',
    'Range: bytes=5-1',
    'Range: bytes=-',
    'Range: bytes=0-18446744073709551616',
    'Range: lines=1-2',
    'If-None-Match: *',
    'If-None-Match: W/"x", "y",,',
    'If-Range: x',
    'Content-Range: 0-0',
    'Content-Range: 5-1',
    'Content-Range: bytes 0-9/10',
    'Content-Range: 99999999999999999999-99999999999999999999',
    'Content-Type: application/vnd.oci.image.manifest.v1+json',
    'Content-Type: ;',
    'Content-Type: \xff',
    'Content-Type: application/vnd.oci.image.index.v1+json',
    'Authorization: Bearer x',
    'Authorization: Basic Og==',
    'Authorization: ',
    'Expect: 100-continue',
    'Expect: cake',
    'Upgrade: websocket\r\nConnection: upgrade',
    'Connection: keep-alive',
    'Host: evil',
    'Host: a b',
    'Host: \\',
    'Host: [',
    'Host:',
    'X: a\rb',
    'X: a\0b',
    'X : y',
    ' folded',
    'X',
    ': y',
    'Accept: */*;q=x',
    'X-Forwarded-For: 1.2.3.4',
    'Forwarded: for=x',
    `X-Long: ${'x'.repeat(9_000)}`,
    'Trailer: X',
    'TE: trailers',
    'Content-Encoding: gzip',
    'X-HTTP-Method-Override: DELETE',
    '__proto__: x',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
)
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: 'x', digest: DIGEST, size: 1 },
  layers: [],
})
const content = fc.oneof(
  fc.constantFrom(
    '',
    '{}',
    'null',
    '[]',
    manifest,
    '[['.repeat(5_000),
    '{"a":'.repeat(5_000),
    '\xff\xfe',
    '"\\ud800"',
    '0'.repeat(3_000),
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 200 }),
)
/** A body with the headers that say, rightly or wrongly, how long it is. */
const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant('\r\n') },
  { weight: 4, arbitrary: content.map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`) },
  {
    weight: 2,
    arbitrary: content.map(
      (text) =>
        `Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'Content-Length: 5',
          'Content-Length: 99999999999999999999',
          'Content-Length: -1',
          'Content-Length: 1\r\nContent-Length: 2',
          'Content-Length: 4\r\nTransfer-Encoding: chunked',
          'Transfer-Encoding: gzip, chunked',
          'Transfer-Encoding: chunked, identity',
          'Transfer-Encoding: xchunked',
          'Transfer-Encoding : chunked',
          'Content-Length: 0x5',
          'Content-Length: 5, 5',
        ),
        fc.oneof(
          content,
          fc.constantFrom(
            '0\r\n\r\n',
            'zz\r\n',
            'ffffffffffffffff\r\na',
            '5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n',
            '0\r\n\r\nGET /v2/ HTTP/1.1\r\n\r\n',
          ),
        ),
      )
      .map(([lie, text]) => `${lie}\r\n\r\n${text}`),
  },
)

const request = fc
  .tuple(method, path, query, version, fc.array(header, { maxLength: 3 }), fc.boolean(), body)
  .map(([m, p, q, v, headers, hasHost, rest]) => {
    const lines = [`${m} ${p}${q} ${v}`, ...(hasHost ? ['Host: 127.0.0.1'] : []), ...headers]
    return `${lines.map((line) => `${line}\r\n`).join('')}${rest}`
  })

/** What is sent on one connection: a request, two in a row, a piece of one, or noise. Characters are bytes. */
export const hostileBytes: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: request },
  { weight: 1, arbitrary: fc.tuple(request, request).map((both) => both.join('')) },
  {
    weight: 1,
    arbitrary: fc.tuple(request, fc.nat(200)).map(([text, length]) => text.slice(0, length)),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => Buffer.from(bytes).toString('latin1')),
  },
)

/** A request of a well-formed client with one thing wrong: for tables of attacks. */
export function makeRequest(line: string, headers: readonly string[] = [], text = ''): string {
  const length =
    text === '' && headers.some((one) => /^(?:content-length|transfer)/i.test(one))
      ? []
      : [`Content-Length: ${Buffer.byteLength(text)}`]
  const hasOwn = headers.some((one) => /^(?:content-length|transfer-encoding)/i.test(one))
  const lines = [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, ...(hasOwn ? [] : length)]
  return `${lines.map((one) => `${one}\r\n`).join('')}\r\n${text}`
}

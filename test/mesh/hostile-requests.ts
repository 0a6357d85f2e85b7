/** Requests that mean harm, as bytes: mostly right, with one or two parts that are nearly right or wrong. */
import fc from 'fast-check'
import { makeBlob } from '../helpers/images.ts'

/** In the node before the first request, in repository `team/app`: so that some requests get far. */
export const KNOWN = makeBlob(Buffer.from('the one blob that is there'))
/** Stands for the id of an upload that is open. */
export const UPLOAD_ID = '0f8fad5b-d9cd-469f-a165-70867728950e'

const HEX = 'a'.repeat(64)
const DIGEST = `sha256:${HEX}`

const words = (text: string) => fc.constantFrom(...text.trim().split(/\s+/))
const lines = (text: string) => fc.constantFrom(...text.trim().split(/\n\s*/))
const mostly = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>, weight = 6) =>
  fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: wrong })

const TRICKY = ['a', 'Z', '0', '.', '/', '%', '_', '-', '\\', ':', '@', '\xff']
const fragment = fc.oneof(
  words(String.raw`
    a A library/app a/b . .. ... %2e%2e %2e%2e%2f ..%2f.. %252e%252e %00 % %zz %c0%ae%c0%ae %ff %ed%a0%80 \ ..\..\x // ; _ __
    a..b a. -a _uploads _layers _manifests entrepot identity.key canary.txt etc/passwd %61 %2F %3A # {} * __proto__ constructor ~
    %E2%80%AE %F0%9F%98%80 a%0d%0aX:y a%20b tags/list blobs/uploads manifests`),
  fc.constantFrom('a'.repeat(255), 'a'.repeat(256), 'a/'.repeat(2_000), '\x80', 'é'),
  fc.string({ unit: fc.constantFrom(...TRICKY), maxLength: 10 }),
)
const name = mostly(
  words('team/app team/app a x/y/z'),
  fc.array(fragment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
  4,
)
const digest = mostly(
  fc.constantFrom<string>(KNOWN.digest, KNOWN.digest, DIGEST),
  fc.oneof(
    words(`
      ${DIGEST.toUpperCase()} SHA256:${HEX} sha256:${HEX.toUpperCase()} sha256:${HEX.slice(1)} sha256:${HEX}0 sha512:${HEX}${HEX}
      sha512:${HEX} md5:${HEX.slice(32)} sha256: : sha256%3A${HEX} sha256:../${HEX.slice(3)} sha256:${HEX}%00`),
    fragment,
  ),
  4,
)
const reference = fc.oneof(
  { weight: 3, arbitrary: words('v1 v1 latest V1') },
  { weight: 2, arbitrary: digest },
  {
    weight: 1,
    arbitrary: words(`${'t'.repeat(128)} ${'t'.repeat(129)} .v1 -v1 v1. .. a:b v1/ v1%00`),
  },
)
const query = fc.oneof(
  { weight: 5, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constant(`?digest=${KNOWN.digest}`) },
  {
    weight: 2,
    arbitrary: words(`
      ?n=1e9 ?n=-1 ?n=0 ?n=NaN ?n=9999999999999999999999 ?n=1&n=2 ?n=0x10 ?n= ?n=1&last=%00 ?last=%00 ?last=%ff ?last=~ ?last=v1%00
      ?digest=${DIGEST} ?digest=${DIGEST}&digest=${DIGEST} ?digest= ?mount=${KNOWN.digest} ?mount=${DIGEST}&from=../x
      ?mount=${KNOWN.digest}&from=team%2Fapp ?mount=..&from=.. ?% ?=&=& ?artifactType=%00 ?tag=v1&tag=.. ?ns=docker.io ?__proto__=1
      ?repository=.. ?repository=team/app&reference=.. ?repository=team/app ?limit=-1 ?limit=1e9 ?after=%00 ?state=x ?state=done`),
  },
  { weight: 1, arbitrary: fragment.map((text) => `?${text}`) },
)
/** A path and the methods that it knows. */
const route = (methods: string, where: fc.Arbitrary<string>) => fc.tuple(words(methods), where)
const target = fc.oneof(
  {
    weight: 5,
    arbitrary: route(
      'GET GET HEAD PUT PUT DELETE',
      fc.tuple(name, reference).map(([n, r]) => `/v2/${n}/manifests/${r}`),
    ),
  },
  {
    weight: 5,
    arbitrary: route(
      'GET GET GET HEAD DELETE',
      fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/blobs/${d}`),
    ),
  },
  {
    weight: 3,
    arbitrary: route(
      'POST',
      name.map((n) => `/v2/${n}/blobs/uploads/`),
    ),
  },
  {
    weight: 4,
    arbitrary: route(
      'GET HEAD PATCH PATCH PUT DELETE',
      name.map((n) => `/v2/${n}/blobs/uploads/${UPLOAD_ID}`),
    ),
  },
  {
    weight: 1,
    arbitrary: route(
      'GET PATCH PUT DELETE',
      fc.tuple(name, fragment).map(([n, id]) => `/v2/${n}/blobs/uploads/${id}`),
    ),
  },
  {
    weight: 2,
    arbitrary: route(
      'GET',
      fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/referrers/${d}`),
    ),
  },
  {
    weight: 2,
    arbitrary: route(
      'GET',
      name.map((n) => `/v2/${n}/tags/list`),
    ),
  },
  {
    weight: 3,
    arbitrary: route(
      'GET GET POST',
      words(`
        /v2 /v2/ /v2// /v2/_catalog / * /healthz /readyz /api/v1/status /api/v1/jobs /api/v1/history /api/v1/pauses /api/v1/records /api/v1/openapi.json
        /api/v1/jobs/x /api/v1/jobs/x/retry /api/v1/jobs/%/cancel /api/v1/jobs/team%2Fapp@${DIGEST}/retry http://127.0.0.1/v2/
        http://[::1/v2/ ftp://x/v2/ http:///v2/ http://x:99999/v2/ /../v2/ /v2/../../etc/passwd /V2/ /api/v1/../../etc/passwd
        /docker/registry/v2/ /entrepot/identity.key /canary.txt /api/v1/gc //v2/ /v2/../api/v1/status /v2/%2e%2e/api/v1/status`),
    ),
  },
  {
    weight: 1,
    arbitrary: route(
      'GET',
      fragment.map((text) => `/${text}`),
    ),
  },
  {
    weight: 1,
    arbitrary: route(
      'GET POST',
      fragment.map((text) => `/api/v1/${text}`),
    ),
  },
)
const oddMethod = words(
  'OPTIONS TRACE CONNECT PRI get QUERY PROPFIND X G,ET POST PUT PATCH DELETE GET',
)
const methodAndPath = mostly(
  target,
  fc.tuple(oddMethod, target).map(([verb, [, where]]): [string, string] => [verb, where]),
  10,
)
const version = mostly(
  fc.constant('HTTP/1.1'),
  lines(`HTTP/1.0
    HTTP/0.9
    HTTP/2.0
    HTTP/9.9
    http/1.1
    HTTP/1.1 x`),
  40,
)
/** Fields that reach the routes. */
const field = fc.oneof(
  lines(`Range: bytes=0-0,5-6
    Range: bytes=-0
    Range: bytes=-5
    Range: bytes=3-
    Range: bytes=9999999999999999999-
    Range: bytes=5-1
    Range: bytes=-
    Range: bytes=0-18446744073709551616
    Range: lines=1-2
    If-None-Match: *
    If-None-Match: W/"x", "${KNOWN.digest}",,
    If-Range: x
    If-Range: "${KNOWN.digest}"
    Content-Range: 0-0
    Content-Range: 5-1
    Content-Range: bytes 0-9/10
    Content-Range: 0-99999999999999999999
    Content-Range: 99999999999999999999-99999999999999999999
    Content-Type: application/vnd.oci.image.manifest.v1+json
    Content-Type: application/vnd.oci.image.index.v1+json
    Content-Type: ;
    Content-Type: \xff
    Authorization: Bearer x
    Authorization: Basic Og==
    Authorization:
    Expect: 100-continue
    Upgrade: websocket
    Connection: upgrade
    Connection: keep-alive, close
    Accept: */*;q=x
    X-Forwarded-For: 1.2.3.4
    Forwarded: for=x
    Trailer: X
    TE: trailers
    Content-Encoding: gzip
    X-HTTP-Method-Override: DELETE
    Origin: http://evil
    Origin: null
    __proto__: x`),
  fc.constant(`X-Long: ${'x'.repeat(9_000)}`),
)
/** Fields that a parser has to refuse, or that a less careful one understands otherwise. */
const brokenField = fc.oneof(
  fc.constantFrom(
    'Expect: cake',
    'Host: evil',
    'Host: a b',
    'Host: \\',
    'Host: [',
    'Host:',
    'X: a\rb',
    'X: a\0b',
  ),
  fc.constantFrom('X : y', ' folded', 'X', ': y', `X: ${'x'.repeat(20_000)}`, 'Content-Length : 1'),
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
)
const manifestOf = (digest: string, size: number) =>
  JSON.stringify({ schemaVersion: 2, config: { mediaType: 'x', digest, size }, layers: [] })
const content = fc.oneof(
  fc.constantFrom(
    '',
    '{}',
    'null',
    '[]',
    '\xff\xfe',
    '"\\ud800"',
    '0'.repeat(3_000),
    '[['.repeat(5_000),
  ),
  fc.constantFrom(
    manifestOf(KNOWN.digest, KNOWN.bytes.length),
    manifestOf(DIGEST, 1),
    manifestOf(KNOWN.digest, -1),
  ),
  fc.constant(Buffer.from(KNOWN.bytes).toString('latin1')),
  fc.string({ unit: 'binary-ascii', maxLength: 200 }),
)
const plain = content.map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`)
const chunked = content.map(
  (text) => `Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
)
/** Lengths that lie, and two that contradict each other: what smuggles a second request past a proxy. */
const lie = fc
  .tuple(
    lines(`Content-Length: 5
      Content-Length: 99999999999999999999
      Content-Length: -1
      Content-Length: 1\r\nContent-Length: 2
      Content-Length: 4\r\nTransfer-Encoding: chunked
      Transfer-Encoding: gzip, chunked
      Transfer-Encoding: chunked, identity
      Transfer-Encoding: xchunked
      Transfer-Encoding: chunked
      Content-Length: 0x5
      Content-Length: 5, 5`),
    fc.oneof(
      content,
      fc.constantFrom(
        '0\r\n\r\n',
        'zz\r\n',
        'ffffffffffffffff\r\na',
        '5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n',
        '-1\r\n',
      ),
      fc.constant('0\r\n\r\nGET /v2/ HTTP/1.1\r\n\r\n'),
    ),
  )
  .map(([length, text]) => `${length}\r\n\r\n${text}`)
const body = fc.oneof(
  { weight: 6, arbitrary: fc.constant('\r\n') },
  { weight: 5, arbitrary: plain },
  { weight: 2, arbitrary: chunked },
  { weight: 1, arbitrary: lie },
)
const fields = fc
  .tuple(
    fc.array(field, { maxLength: 2 }),
    mostly(fc.constant<string[]>([]), fc.tuple(brokenField), 15),
  )
  .map((both) => both.flat())

const request = fc
  .tuple(
    methodAndPath,
    query,
    version,
    fields,
    mostly(fc.constant(true), fc.constant(false), 30),
    body,
  )
  .map(([[verb, where], what, http, headers, hasHost, rest]) => {
    const head = [
      `${verb} ${where}${what} ${http}`,
      ...(hasHost ? ['Host: 127.0.0.1'] : []),
      ...headers,
    ]
    return `${head.map((line) => `${line}\r\n`).join('')}${rest}`
  })

/** What is sent on one connection: a request, two in a row, a piece of one, or noise. Characters are bytes. */
export const hostileBytes: fc.Arbitrary<string> = fc.oneof(
  { weight: 30, arbitrary: request },
  { weight: 3, arbitrary: fc.tuple(request, request).map((both) => both.join('')) },
  {
    weight: 1,
    arbitrary: fc.tuple(request, fc.nat(200)).map(([text, size]) => text.slice(0, size)),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => Buffer.from(bytes).toString('latin1')),
  },
)

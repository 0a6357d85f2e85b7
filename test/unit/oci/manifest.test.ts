import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Manifest, parseManifest } from '../../../src/oci/manifest.ts'
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  descriptorOf,
  makeBlob,
  makeDockerImage,
  makeImage,
  makeIndex,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../helpers/images.ts'
import { digestNamed } from '../../helpers/writers.ts'

function bytesOfJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function parsed(bytes: Uint8Array, contentType?: string): Manifest {
  const parse = parseManifest(bytes, contentType)
  if (parse.kind === 'invalid') throw new Error(parse.reason)
  return parse.manifest
}

function reasonOf(value: unknown, contentType?: string): string | undefined {
  const bytes = value instanceof Uint8Array ? value : bytesOfJson(value)
  const parse = parseManifest(bytes, contentType)
  return parse.kind === 'invalid' ? parse.reason : undefined
}

const BLOB = makeBlob(Buffer.from('layer'), 'application/vnd.oci.image.layer.v1.tar')
const CONFIG = makeBlob(Buffer.from('{}'), 'application/vnd.oci.image.config.v1+json')
const IMAGE = {
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: descriptorOf(CONFIG),
  layers: [descriptorOf(BLOB)],
}
const INDEX = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptorOf(BLOB)] }

describe('oci / manifest', () => {
  test('an image needs its config and its layers, in order', () => {
    for (const image of [makeImage('a'), makeDockerImage('a')]) {
      const manifest = parsed(image.bytes, image.mediaType)
      expect(manifest.mediaType).toBe(image.mediaType)
      expect(manifest.blobs.map(({ digest }) => digest)).toEqual(
        image.blobs.map(({ digest }) => digest),
      )
      expect(manifest.manifests).toEqual([])
    }
  })

  test('an index needs its manifests and no blobs', () => {
    for (const type of [OCI_INDEX, DOCKER_LIST]) {
      const children = [makeImage('a'), makeImage('b')]
      const manifest = parsed(makeIndex(children, type).bytes, type)
      expect(manifest.manifests.map(({ digest }) => digest)).toEqual(
        children.map(({ digest }) => digest),
      )
      expect(manifest.blobs).toEqual([])
    }
  })

  test('layers that may not be distributed are not needed', () => {
    const foreign = [
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    ].map((mediaType) => ({ ...descriptorOf(BLOB), mediaType, urls: ['https://example.org/l'] }))
    const manifest = parsed(bytesOfJson({ ...IMAGE, layers: [...foreign, descriptorOf(BLOB)] }))
    expect(manifest.blobs.map(({ digest }) => digest)).toEqual([CONFIG.digest, BLOB.digest])
  })

  test('the subject, the artifact type and the annotations are read', () => {
    const subject = { ...descriptorOf(BLOB), digest: digestNamed('subject') }
    const annotations = { 'org.example': 'yes' }
    const document = { ...IMAGE, subject, annotations, artifactType: 'application/x.sbom' }
    expect(parsed(bytesOfJson(document))).toMatchObject({
      subject: subject.digest,
      annotations,
      artifactType: 'application/x.sbom',
    })
  })

  test('an image without artifact type has the one of its config; an index has none', () => {
    expect(parsed(bytesOfJson(IMAGE)).artifactType).toBe(CONFIG.mediaType)
    expect(parsed(bytesOfJson(INDEX)).artifactType).toBeUndefined()
  })

  test('fields that nobody knows are no reason to refuse', () => {
    const document = {
      ...IMAGE,
      future: { deep: [1, 2] },
      layers: [{ ...descriptorOf(BLOB), platform: { os: 'linux' }, data: 'bGF5ZXI=' }],
    }
    expect(parsed(bytesOfJson(document)).blobs).toEqual([descriptorOf(CONFIG), descriptorOf(BLOB)])
  })

  test('a list that is null is an empty one: encoders of other languages write it so', () => {
    expect(parsed(bytesOfJson({ ...IMAGE, layers: null })).blobs).toEqual([descriptorOf(CONFIG)])
    expect(parsed(bytesOfJson({ ...INDEX, manifests: null }), OCI_INDEX).manifests).toEqual([])
  })

  test('the type is the one pushed with, else the one in the document, else what the fields show', () => {
    const { mediaType: _, ...untyped } = IMAGE
    const { mediaType: __, ...untypedIndex } = INDEX
    expect(parsed(bytesOfJson(untyped), OCI_MANIFEST).mediaType).toBe(OCI_MANIFEST)
    expect(parsed(bytesOfJson(IMAGE)).mediaType).toBe(OCI_MANIFEST)
    expect(parsed(bytesOfJson(untyped)).mediaType).toBe(OCI_MANIFEST)
    expect(parsed(bytesOfJson(untypedIndex)).mediaType).toBe(OCI_INDEX)
  })

  test.each<[string, unknown, string | undefined]>([
    ['no JSON', Buffer.from('{'), OCI_MANIFEST],
    ['text that is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), OCI_MANIFEST],
    ['a byte order mark and nothing', Uint8Array.of(0xef, 0xbb, 0xbf), OCI_MANIFEST],
    ['null', null, OCI_MANIFEST],
    ['a list', [], OCI_MANIFEST],
    ['schema version 1', { ...IMAGE, schemaVersion: 1 }, OCI_MANIFEST],
    ['no schema version', { ...IMAGE, schemaVersion: undefined }, OCI_MANIFEST],
    ['a type that is not the one in the document', IMAGE, DOCKER_MANIFEST],
    ['a type that is no manifest', IMAGE, 'application/json'],
    ['an image without config', { ...IMAGE, config: undefined }, OCI_MANIFEST],
    ['an index without list', { ...INDEX, manifests: undefined }, OCI_INDEX],
    ['a digest that is none', { ...IMAGE, config: { ...IMAGE.config, digest: 'x' } }, OCI_MANIFEST],
    ['a size below zero', { ...IMAGE, config: { ...IMAGE.config, size: -1 } }, OCI_MANIFEST],
    ['a size with a fraction', { ...IMAGE, config: { ...IMAGE.config, size: 1.5 } }, OCI_MANIFEST],
    ['a size beyond numbers', { ...IMAGE, config: { ...IMAGE.config, size: 2 ** 53 } }, undefined],
    ['a size as text', { ...IMAGE, config: { ...IMAGE.config, size: '5' } }, OCI_MANIFEST],
    ['layers that are no list', { ...IMAGE, layers: {} }, OCI_MANIFEST],
    ['a subject without digest', { ...IMAGE, subject: {} }, OCI_MANIFEST],
    ['annotations that are no text', { ...IMAGE, annotations: { a: 1 } }, OCI_MANIFEST],
  ])('%s is refused', (_, value, contentType) => {
    expect(reasonOf(value, contentType)).toBeTypeOf('string')
  })

  /** One document that is two things shows another content to each client (CVE-2021-41190). */
  test.each<[string, unknown, string]>([
    ['an image with a list of manifests', { ...IMAGE, manifests: [] }, OCI_MANIFEST],
    ['an index with layers', { ...INDEX, layers: [] }, OCI_INDEX],
    ['an index with a config', { ...INDEX, config: IMAGE.config }, OCI_INDEX],
  ])('%s is refused', (_, document, type) => {
    expect(reasonOf({ ...(document as object), mediaType: undefined }, type)).toContain('both')
    expect(reasonOf({ ...(document as object), mediaType: undefined })).toContain('both')
  })

  test('whatever the bytes are, the answer is a manifest or a reason', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        expect(['parsed', 'invalid']).toContain(parseManifest(bytes, OCI_MANIFEST).kind)
      }),
    )
  })
})

import { describe, expect, test } from 'vitest'
import { OCI_ERRORS, OciError } from '../../../src/oci/errors.ts'

/** distribution-spec 1.1, "Error Codes": code-1 to code-14, in its order. */
const SPECIFIED = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]

describe('oci / errors', () => {
  test('the table holds the codes of the specification, all of them and no other', () => {
    expect(Object.keys(OCI_ERRORS)).toEqual(SPECIFIED)
  })

  test('every code answers with a status of the client side and a message', () => {
    for (const [code, [status, message]] of Object.entries(OCI_ERRORS)) {
      expect(status, code).toBeGreaterThanOrEqual(400)
      expect(status, code).toBeLessThan(500)
      expect(message, code).not.toBe('')
    }
  })

  test('what is absent is 404, who is unknown 401, who is known and may not 403', () => {
    const absent = ['BLOB_UNKNOWN', 'BLOB_UPLOAD_UNKNOWN', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN']
    for (const code of absent) expect(OCI_ERRORS[code as 'BLOB_UNKNOWN'][0], code).toBe(404)
    expect(OCI_ERRORS.UNAUTHORIZED[0]).toBe(401)
    expect(OCI_ERRORS.DENIED[0]).toBe(403)
    expect(OCI_ERRORS.TOOMANYREQUESTS[0]).toBe(429)
  })

  test('an error takes status and message from the table unless it is told others', () => {
    const plain = new OciError('BLOB_UNKNOWN')
    expect([plain.status, plain.message, plain.headers]).toEqual([
      404,
      'blob unknown to registry',
      {},
    ])
    const own = new OciError('BLOB_UPLOAD_INVALID', {
      status: 416,
      message: 'out of order',
      detail: { at: 5 },
      headers: { range: '0-4' },
    })
    expect([own.status, own.message, own.detail, own.headers]).toEqual([
      416,
      'out of order',
      { at: 5 },
      { range: '0-4' },
    ])
  })
})

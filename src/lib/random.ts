/** The only source of chance. A simulation passes a seeded one and can be run again. */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** `size` random bytes. The system source is cryptographic: tokens and epochs come from here. */
  bytes(size: number): Uint8Array
  /** A number in [0, 1). */
  fraction(): number
}

export const systemRandom: Random = {
  bytes: (size) => randomBytes(size),
  fraction: () => Math.random(),
}

/** `size` random bytes as text, for names and secrets that go into headers, files and keys. */
export function randomText(random: Random, size: number): string {
  return Buffer.from(random.bytes(size)).toString('base64url')
}

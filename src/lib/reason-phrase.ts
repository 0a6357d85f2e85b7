/** The text of a status line (RFC 9112 section 4): of an answer of 500 and above most clients show nothing else. */

/** Characters: a sentence with the names of some nodes. */
const MAX_LENGTH = 500

export function reasonPhrase(message: string): string {
  return message.slice(0, MAX_LENGTH).replaceAll(/[^\t\x20-\x7e]/g, '?')
}

/**
 * A static Linux program that prints a line and ends, as an ELF file of a few hundred bytes: an image of it runs anywhere,
 * and no compiler is needed to make one (System V ABI, "Object Files"; Linux system calls write and exit).
 */

export type Architecture = 'amd64' | 'arm64'

/** Bytes of the ELF header and its one program header: the code begins there. */
const [ELF_HEADER, PROGRAM_HEADER] = [64, 56]
const CODE_AT = ELF_HEADER + PROGRAM_HEADER
/** Where the file is mapped: the customary address of static programs. */
const BASE = 0x40_0000n

const MACHINES: Readonly<Record<Architecture, number>> = { amd64: 62, arm64: 183 }
const CODES: Readonly<Record<Architecture, (textBytes: number) => Buffer>> = {
  amd64: amd64Code,
  arm64: arm64Code,
}

export function makeHelloProgram(text: string, architecture: Architecture): Buffer {
  const message = Buffer.from(text)
  const code = CODES[architecture](message.length)
  const size = BigInt(CODE_AT + code.length + message.length)
  const headers = Buffer.alloc(CODE_AT)
  // Identification: 64 bits, little endian, version 1, System V.
  Buffer.from('7f454c46020101', 'hex').copy(headers)
  headers.writeUInt16LE(2, 16) // executable
  headers.writeUInt16LE(MACHINES[architecture], 18)
  headers.writeUInt32LE(1, 20)
  headers.writeBigUInt64LE(BASE + BigInt(CODE_AT), 24) // entry
  headers.writeBigUInt64LE(BigInt(ELF_HEADER), 32) // program headers
  headers.writeUInt16LE(ELF_HEADER, 52)
  headers.writeUInt16LE(PROGRAM_HEADER, 54)
  headers.writeUInt16LE(1, 56)
  headers.writeUInt32LE(1, ELF_HEADER) // load
  headers.writeUInt32LE(5, ELF_HEADER + 4) // read, execute
  headers.writeBigUInt64LE(BASE, ELF_HEADER + 16)
  headers.writeBigUInt64LE(BASE, ELF_HEADER + 24)
  headers.writeBigUInt64LE(size, ELF_HEADER + 32)
  headers.writeBigUInt64LE(size, ELF_HEADER + 40)
  headers.writeBigUInt64LE(0x1_0000n, ELF_HEADER + 48) // alignment: the largest page of arm64
  return Buffer.concat([headers, code, message])
}

/** write(1, text behind the code, length); exit(0). */
function amd64Code(textBytes: number): Buffer {
  const code = Buffer.from(
    'b801000000' + // mov eax, 1 (write)
      'bf01000000' + // mov edi, 1
      '488d3500000000' + // lea rsi, [rip + ...]
      'ba00000000' + // mov edx, ...
      '0f05' + // syscall
      'b83c000000' + // mov eax, 60 (exit)
      '31ff' + // xor edi, edi
      '0f05', // syscall
    'hex',
  )
  // Relative to the end of the instruction, which is 17 bytes in.
  code.writeInt32LE(code.length - 17, 13)
  code.writeInt32LE(textBytes, 18)
  return code
}

function arm64Code(textBytes: number): Buffer {
  const words = [
    0xd2800020, // mov x0, 1
    0x10000001, // adr x1, ...
    0xd2800002 | (textBytes << 5), // mov x2, ...
    0xd2800808, // mov x8, 64 (write)
    0xd4000001, // svc 0
    0xd2800000, // mov x0, 0
    0xd2800ba8, // mov x8, 93 (exit)
    0xd4000001, // svc 0
  ]
  const code = Buffer.alloc(words.length * 4)
  for (const [at, word] of words.entries()) code.writeUInt32LE(word >>> 0, at * 4)
  // adr counts from itself, 4 bytes in; the offset is a multiple of 4.
  code.writeUInt32LE((0x10000001 | (((code.length - 4) >> 2) << 5)) >>> 0, 4)
  return code
}

/** Text that comes in pieces, taken apart at blank lines: the events of a stream. */

export interface TextBlocks {
  /** Takes in what came. @returns the blocks that it completes */
  push(piece: string): readonly string[]
}

const END = '\n\n'

export function createTextBlocks(): TextBlocks {
  /** Of the block that is not complete: joined once, since one may have come in thousands of pieces. */
  let pieces: string[] = []
  return {
    push: (piece) => {
      if (piece === '') return []
      // The end itself may be cut in two.
      const seam = (pieces.at(-1) ?? '').slice(1 - END.length)
      pieces.push(piece)
      if (!(seam + piece).includes(END)) return []
      const blocks = pieces.join('').split(END)
      pieces = [blocks.pop() ?? '']
      return blocks
    },
  }
}

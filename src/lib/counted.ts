/** A number with what is counted: `1 node`, `2 nodes`, `1 try`, `3 tries`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Sizes and rates as people write them. */

/** e.g. `8.4 MB`: powers of ten, as disks and links are sold. */
export function bytesText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`
  }
  return `${bytes} B`
}

/** Bits a second, e.g. `8Mbit`: as the topology file writes it. */
export function rateText(bits: number): string {
  const [unit, size] =
    bits >= 1e9
      ? (['Gbit', 1e9] as const)
      : bits >= 1e6
        ? (['Mbit', 1e6] as const)
        : (['kbit', 1e3] as const)
  return `${Math.round((bits / size) * 1_000) / 1_000}${unit}`
}

/** Sizes as people write them. */

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

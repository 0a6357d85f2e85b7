/** One at a time per name: a second caller is refused while the first has it. */

export interface KeyedLock {
  /** The release, or undefined when somebody has it. */
  tryAcquire(name: string): (() => void) | undefined
}

export function createKeyedLock(): KeyedLock {
  const taken = new Set<string>()
  return {
    tryAcquire: (name) => {
      if (taken.has(name)) return undefined
      taken.add(name)
      return () => void taken.delete(name)
    },
  }
}

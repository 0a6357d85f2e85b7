/**
 * Verification: everything on disk is read and hashed, and compared with the index in both directions. A repair puts right
 * what can be put right from what is here, and notes the rest as damaged, so that the node fetches it again.
 */
import { EntrepotError } from '../lib/errors.ts'
import { isAdoptionOpen } from './adoption.ts'
import type { Check, CheckDeps } from './check.ts'
import { createContentRows } from './content-rows.ts'
import { createDigestFilter } from './digest-filter.ts'
import type { Finding } from './finding.ts'
import { createLayoutScan } from './layout-scan.ts'
import { noteDamaged } from './note-damaged.ts'
import { verifyFiles } from './verify-files.ts'
import { verifyLinks } from './verify-links.ts'
import { verifyRows } from './verify-rows.ts'

export interface VerificationOptions {
  readonly mustRepair: boolean
  readonly signal: AbortSignal
  readonly onFinding: (finding: Finding) => void
}

export interface Verification {
  /** Blob files, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Files that no repository has: no damage, the collector takes them. */
  readonly unclaimed: number
  readonly findings: number
  /** Findings that are as bad as before; without a repair, all of them. */
  readonly left: number
}

/** Blobs for which the filter has room; more only mean that some unclaimed files are not counted. */
const BLOBS = 3_000_000

/** @throws ADOPTION_OPEN: without rows there is nothing to compare with */
export async function verifyDirectory(
  deps: CheckDeps,
  { mustRepair, signal, onFinding }: VerificationOptions,
): Promise<Verification> {
  const { index, links, ledger, random, directory } = deps
  if (isAdoptionOpen(index)) {
    const message = `the index does not have what is in ${directory}; run: entrepot adopt --data ${directory}`
    throw new EntrepotError('ADOPTION_OPEN', message)
  }
  // What a crash has left to write is no damage.
  await links.settled()
  let [findings, left] = [0, 0]
  const check: Check = {
    ...deps,
    scan: createLayoutScan({ directory }),
    rows: createContentRows({ ledger, links: { write: () => {}, remove: () => {} } }),
    mustRepair,
    signal,
    counts: { files: 0, bytes: 0, unclaimed: 0 },
    bad: new Set(),
    claimed: createDigestFilter({ random }, { expected: BLOBS }),
    tell: (one, outcome) => {
      findings += 1
      if (outcome?.isWhole !== true) left += 1
      onFinding(outcome === undefined ? one : { ...one, repair: outcome.repair })
    },
  }
  await verifyRows(check)
  await verifyFiles(check)
  await verifyLinks(check)
  if (mustRepair) await noteDamaged(check)
  await links.settled()
  return { ...check.counts, findings, left }
}

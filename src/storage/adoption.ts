/**
 * Adoption: a directory that another registry filled, or whose index is lost, gets its rows from what is on disk. It can
 * be cut off and begun again: what has a row is left alone. Nothing is signed, so no other node hears of it.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EntrepotError } from '../lib/errors.ts'
import { adoptLayers } from './adopt-layers.ts'
import { adoptManifests } from './adopt-manifests.ts'
import { adoptTags } from './adopt-tags.ts'
import type { BlobStore } from './blob-store.ts'
import { createContentRows, type ContentRows } from './content-rows.ts'
import { type Finding, finding } from './finding.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { META } from './index-tables.ts'
import { createLayoutScan, type LayoutScan } from './layout-scan.ts'

/** What a simulated topology is asked, and what it answers. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import type { LinkCounts } from './scale-meter.ts'
import type { RatesOptions } from './scale-rates.ts'

export interface ScaleOptions extends RatesOptions {
  readonly nodes: number
  /** Bytes of the layers of one image. */
  readonly imageBytes: number
  readonly pushes: number
  readonly seed: number
  readonly roundTripMs: number
  /** How long nothing is pushed, minutes; half of it passes before, so that audits are as far apart as they usually are. */
  readonly quietMinutes: number
  /** Members of a topic to whom one passes on what it heard there. */
  readonly degree: number
  /** What is pushed; the image that reaches most nodes where it is not given. */
  readonly image?: { readonly repository: RepositoryName; readonly tag: Tag }
}

export interface ScaleReport {
  readonly realm: string
  readonly nodes: number
  /** Nodes of the file that were repeated, and what their copies are called. */
  readonly repeated: readonly NodeName[]
  readonly copies: readonly NodeName[]
  /** Pairs of nodes that are joined. */
  readonly links: number
  readonly start: Period
  readonly pushes: readonly PushReport[]
  readonly quiet: Period
}

/** What went over the links in a time, milliseconds. */
export interface Period {
  readonly ms: number
  readonly links: readonly LinkCounts[]
}

/** `ms`: from the push until it is shown wherever it belongs; what went over the links also in the seconds after that. */
export interface PushReport extends Period {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly writer: NodeName
  /** Of the manifest and its blobs, bytes. */
  readonly imageBytes: number
  /** Nodes that fetched it: all that it reaches but its writer. */
  readonly receivers: number
  /** Content that each node sent, bytes. */
  readonly sent: readonly { readonly name: NodeName; readonly bytes: number }[]
  /** When the tag was shown at the first and the last node so many steps from the writer, milliseconds since the push. */
  readonly levels: readonly LevelReport[]
}

export interface LevelReport {
  readonly level: number
  readonly nodes: number
  readonly firstMs: number
  readonly lastMs: number
}

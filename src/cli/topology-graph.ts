/** `entrepot topology graph`: the levels, links and policies of a file, to look at. */
import { type Command, Option } from 'commander'
import { type Graph, graphOf } from '../forecast/graph.ts'
import { dotText, mermaidText } from '../forecast/graph-formats.ts'
import { svgText } from '../forecast/graph-svg.ts'
import { graphText } from '../forecast/graph-text.ts'
import type { Topology } from '../topology/topology.ts'
import { print } from './output.ts'

const FORMATS = {
  text: graphText,
  mermaid: mermaidText,
  dot: dotText,
  svg: svgText,
} as const satisfies Readonly<Record<string, (graph: Graph) => string>>

export function addGraphCommand(
  topology: Command,
  load: (file: string) => Promise<{ readonly topology: Topology }>,
): void {
  topology
    .command('graph')
    .description('draw levels, links and policies')
    .argument('<file>', 'topology file (YAML)')
    .addOption(new Option('--format <format>', 'how').choices(Object.keys(FORMATS)).default('text'))
    .action(async (file: string, { format }: { readonly format: keyof typeof FORMATS }) => {
      const { topology: read } = await load(file)
      print(FORMATS[format](graphOf(read)))
    })
}

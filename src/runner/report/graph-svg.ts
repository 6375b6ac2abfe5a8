/**
 * The graph of stages as SVG: layers by the longest way from a source, order within a layer by the mean place of the
 * neighbours above (the barycentre heuristic of Sugiyama, Tagawa and Toda 1981).
 */
import { escapeHtml } from './escape.ts';
import { nodeLabel, statesText } from './stage-graph.ts';
import type { StageGraph, StageNode } from './stage-graph.ts';

interface Box {
  readonly node: StageNode;
  readonly width: number;
  readonly layer: number;
  x: number;
  y: number;
}

const height = 46;
const gapX = 28;
const gapY = 44;
const letter = 7.4;

/** Colours come from CSS variables where the page sets them, so that the drawing follows light and dark. */
export function graphSvg(graph: StageGraph): string {
  const boxes = placeBoxes(graph);
  const width = Math.max(1, ...[...boxes.values()].map(box => box.x + box.width)) + 8;
  const depth = Math.max(1, ...[...boxes.values()].map(box => box.y + height)) + 8;
  const parts: string[] = [];
  for (const edge of graph.edges) {
    const [from, to] = [boxes.get(edge.from), boxes.get(edge.to)];
    if (from === undefined || to === undefined) continue;
    const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + height, to.x + to.width / 2, to.y - 5];
    const bend = Math.max(18, (y2 - y1) / 2);
    const dash = edge.outputs.length === 0 ? ' stroke-dasharray="4 3"' : '';
    parts.push(
      `<path d="M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}" fill="none" stroke="var(--line,#8a94a6)" ` +
      `stroke-width="${edge.gather ? 2.5 : 1.3}"${dash} marker-end="url(#arrow)"><title>${escapeHtml(
        `${edge.from} → ${edge.to}${edge.outputs.length === 0 ? ' (order only)' : `: ${edge.outputs.join(', ')}`}`)}</title></path>`,
    );
  }
  for (const box of boxes.values()) parts.push(boxSvg(box));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(depth)}" width="${Math.ceil(width)}" ` +
    `height="${Math.ceil(depth)}" role="img" aria-label="graph of stages" font-family="system-ui,sans-serif" font-size="13">` +
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
    `<path d="M0 0L8 4L0 8z" fill="var(--line,#8a94a6)"/></marker></defs>${parts.join('')}</svg>\n`;
}

function boxSvg(box: Box): string {
  const { node, x, y, width } = box;
  const { states } = node;
  const color = states === null ? 'var(--line,#8a94a6)' : states.failed > 0 ? 'var(--bad,#c0392b)' : states.stale > 0 ? 'var(--warn,#b7791f)' : 'var(--good,#2f855a)';
  const middle = x + width / 2;
  const second = states === null ? '' : `<text x="${middle}" y="${y + 35}" text-anchor="middle" font-size="11" fill="${color}">${escapeHtml(statesText(states))}</text>`;
  const title = node.summary === null ? '' : `<title>${escapeHtml(node.summary)}</title>`;
  return `<g>${title}<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" fill="var(--card,#ffffff)" stroke="${color}" stroke-width="1.4"/>` +
    `<text x="${middle}" y="${y + (states === null ? 28 : 20)}" text-anchor="middle" font-weight="600" fill="var(--ink,#1a202c)">${escapeHtml(nodeLabel(node))}</text>${second}</g>`;
}

function placeBoxes(graph: StageGraph): Map<string, Box> {
  const above = new Map<string, string[]>();
  for (const edge of graph.edges) above.set(edge.to, [...(above.get(edge.to) ?? []), edge.from]);
  const boxes = new Map<string, Box>();
  const layers: Box[][] = [];
  for (const node of graph.nodes) {
    const layer = 1 + Math.max(-1, ...(above.get(node.name) ?? []).map(name => boxes.get(name)?.layer ?? -1));
    const text = Math.max(nodeLabel(node).length * letter * 1.08, node.states === null ? 0 : statesText(node.states).length * letter * 0.85);
    const box: Box = { node, width: Math.round(text + 28), layer, x: 0, y: 4 + layer * (height + gapY) };
    boxes.set(node.name, box);
    (layers[layer] ??= []).push(box);
  }
  const widthOf = (layer: readonly Box[]): number => layer.reduce((sum, box) => sum + box.width, 0) + gapX * (layer.length - 1);
  const widest = Math.max(0, ...layers.map(widthOf));
  for (const layer of layers) {
    const want = (box: Box): number => {
      const centres = (above.get(box.node.name) ?? []).flatMap(name => {
        const parent = boxes.get(name);
        return parent === undefined ? [] : [parent.x + parent.width / 2];
      });
      return centres.length === 0 ? 0 : centres.reduce((sum, c) => sum + c, 0) / centres.length;
    };
    const ordered = layer.map(box => ({ box, want: want(box) })).sort((a, b) => a.want - b.want);
    let x = 4 + (widest - widthOf(layer)) / 2;
    for (const { box } of ordered) {
      box.x = Math.round(x);
      x += box.width + gapX;
    }
  }
  return boxes;
}

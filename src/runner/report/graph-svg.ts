/**
 * The graph of stages as SVG: layers by the longest way from a source, order within a layer by the mean place of the
 * neighbours before (the barycentre heuristic of Sugiyama, Tagawa and Toda 1981). From left to right where that fits a
 * page, else downwards. An edge that skips a layer goes around what lies between.
 */
import { escapeHtml } from './escape.ts';
import { nodeLabel, statesText } from './stage-graph.ts';
import type { StageEdge, StageGraph, StageNode } from './stage-graph.ts';

interface Box {
  readonly node: StageNode;
  readonly width: number;
  readonly layer: number;
  x: number;
  y: number;
}

const height = 46;
/** Between boxes of one layer, and between layers. */
const gapWithin = 26;
const gapBetween = 46;
const margin = 6;
const letter = 7.4;
const pageWidth = 1030;

type Direction = 'right' | 'down';

/** Colours come from CSS variables where the page sets them, so that the drawing follows light and dark. */
export function graphSvg(graph: StageGraph): string {
  const across = placeBoxes(graph, 'right');
  const direction: Direction = extent(across, 'right') <= pageWidth ? 'right' : 'down';
  const boxes = direction === 'right' ? across : placeBoxes(graph, 'down');
  const edges = graph.edges.flatMap(edge => edgeSvg(edge, boxes, direction));
  const width = Math.ceil(Math.max(extent(boxes, 'right'), ...edges.map(edge => edge.right)) + margin);
  const depth = Math.ceil(Math.max(extent(boxes, 'down'), ...edges.map(edge => edge.bottom)) + margin);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${depth}" width="${width}" ` +
    `height="${depth}" role="img" aria-label="graph of stages" font-family="system-ui,sans-serif" font-size="13">` +
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto">' +
    '<path d="M0 0L8 4L0 8z" fill="var(--line,#8a94a6)"/></marker></defs>' +
    `${edges.map(edge => edge.svg).join('')}${[...boxes.values()].map(boxSvg).join('')}</svg>\n`;
}

/** Where the boxes end. */
function extent(boxes: ReadonlyMap<string, Box>, direction: Direction): number {
  return Math.max(1, ...[...boxes.values()].map(box => (direction === 'right' ? box.x + box.width : box.y + height)));
}

interface DrawnEdge {
  readonly svg: string;
  readonly right: number;
  readonly bottom: number;
}

function edgeSvg(edge: StageEdge, boxes: ReadonlyMap<string, Box>, direction: Direction): DrawnEdge[] {
  const [from, to] = [boxes.get(edge.from), boxes.get(edge.to)];
  if (from === undefined || to === undefined) return [];
  const between = [...boxes.values()].filter(box => box.layer > from.layer && box.layer < to.layer);
  const route = between.length > 0 ? around(from, to, between, direction) : direction === 'right'
    ? straight(from.x + from.width, from.y + height / 2, to.x - 2, to.y + height / 2, direction)
    : straight(from.x + from.width / 2, from.y + height, to.x + to.width / 2, to.y - 2, direction);
  const dash = edge.outputs.length === 0 ? ' stroke-dasharray="4 3"' : '';
  const title = `${edge.from} → ${edge.to}${edge.outputs.length === 0 ? ' (order only)' : `: ${edge.outputs.join(', ')}`}`;
  return [{
    ...route,
    svg: `<path d="${route.path}" fill="none" stroke="var(--line,#8a94a6)" stroke-width="${edge.gather ? 2.6 : 1.3}"${dash} ` +
      `marker-end="url(#arrow)"><title>${escapeHtml(title)}</title></path>`,
  }];
}

interface Route {
  readonly path: string;
  readonly right: number;
  readonly bottom: number;
}

function straight(x1: number, y1: number, x2: number, y2: number, direction: Direction): Route {
  const bend = Math.max(14, (direction === 'right' ? x2 - x1 : y2 - y1) / 2);
  const path = direction === 'right'
    ? `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  return { path, right: Math.max(x1, x2), bottom: Math.max(y1, y2) };
}

/** Below (or to the right of) everything between, and further out the more layers it passes. */
function around(from: Box, to: Box, between: readonly Box[], direction: Direction): Route {
  const room = 14 + 9 * (to.layer - from.layer);
  if (direction === 'right') {
    const bottom = Math.max(...between.map(box => box.y), from.y, to.y) + height + room;
    const [x1, y1, x2, y2] = [from.x + from.width * 0.65, from.y + height, to.x + to.width * 0.35, to.y + height + 2];
    return { path: `M${x1} ${y1}C${x1} ${bottom} ${x1 + 30} ${bottom} ${x1 + 46} ${bottom}L${x2 - 46} ${bottom}C${x2 - 30} ${bottom} ${x2} ${bottom} ${x2} ${y2}`, right: x2, bottom };
  }
  const right = Math.max(...[...between, from, to].map(box => box.x + box.width)) + room;
  const [x1, y1, x2, y2] = [from.x + from.width, from.y + height * 0.65, to.x + to.width + 2, to.y + height * 0.35];
  return { path: `M${x1} ${y1}C${right} ${y1} ${right} ${y1 + 20} ${right} ${y1 + 36}L${right} ${y2 - 36}C${right} ${y2 - 20} ${right} ${y2} ${x2} ${y2}`, right, bottom: y2 };
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

function placeBoxes(graph: StageGraph, direction: Direction): Map<string, Box> {
  const before = new Map<string, string[]>();
  for (const edge of graph.edges) before.set(edge.to, [...(before.get(edge.to) ?? []), edge.from]);
  const boxes = new Map<string, Box>();
  const layers: Box[][] = [];
  for (const node of graph.nodes) {
    const layer = 1 + Math.max(-1, ...(before.get(node.name) ?? []).map(name => boxes.get(name)?.layer ?? -1));
    const text = Math.max(nodeLabel(node).length * letter * 1.08, node.states === null ? 0 : statesText(node.states).length * letter * 0.85);
    const box: Box = { node, width: Math.round(text + 26), layer, x: 0, y: 0 };
    boxes.set(node.name, box);
    (layers[layer] ??= []).push(box);
  }
  /** Size within the layer. */
  const size = (box: Box): number => (direction === 'right' ? height : box.width);
  const sizeOf = (layer: readonly Box[]): number => layer.reduce((sum, box) => sum + size(box), 0) + gapWithin * (layer.length - 1);
  const largest = Math.max(0, ...layers.map(sizeOf));
  let along = margin;
  for (const layer of layers) {
    let within = margin + (largest - sizeOf(layer)) / 2;
    for (const box of byNeighbours(layer, before, boxes, direction)) {
      box.x = Math.round(direction === 'right' ? along : within);
      box.y = Math.round(direction === 'right' ? within : along);
      within += size(box) + gapWithin;
    }
    along += (direction === 'right' ? Math.max(...layer.map(box => box.width)) : height) + gapBetween;
  }
  return boxes;
}

function byNeighbours(layer: readonly Box[], before: ReadonlyMap<string, readonly string[]>, boxes: ReadonlyMap<string, Box>, direction: Direction): Box[] {
  const want = (box: Box): number => {
    const centres = (before.get(box.node.name) ?? []).flatMap(name => {
      const other = boxes.get(name);
      return other === undefined ? [] : [direction === 'right' ? other.y : other.x + other.width / 2];
    });
    return centres.length === 0 ? 0 : centres.reduce((sum, centre) => sum + centre, 0) / centres.length;
  };
  return layer.map(box => ({ box, want: want(box) })).sort((a, b) => a.want - b.want).map(({ box }) => box);
}

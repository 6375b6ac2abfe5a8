/** The graph of stages as text, Mermaid and Graphviz. */
import { makeStyle } from '../ui/style.ts';
import type { Style } from '../ui/style.ts';
import { padEnd, textWidth } from '../ui/width.ts';
import { nodeLabel, statesText } from './stage-graph.ts';
import type { StageGraph, StageNode } from './stage-graph.ts';

/** `train ×24   20 fresh, 3 stale, 1 failed   ← preprocess.images, tokenize.tokens` */
export function graphText(graph: StageGraph, style: Style = makeStyle(false)): string {
  const labels = Math.max(0, ...graph.nodes.map(node => textWidth(nodeLabel(node))));
  const says = (node: StageNode): string => (node.states === null ? '' : statesText(node.states));
  const states = Math.max(0, ...graph.nodes.map(node => textWidth(says(node))));
  return graph.nodes.map(node => {
    const from = graph.edges.filter(edge => edge.to === node.name).flatMap(edge =>
      edge.outputs.length === 0 ? [`(${edge.from})`] : edge.outputs.map(output => `${edge.from}${edge.gather ? '[*]' : ''}.${output}`),
    );
    const arrow = from.length === 0 ? '' : style.dim(`← ${from.join(', ')}`);
    return `${padEnd(nodeLabel(node), labels)}  ${colored(node, padEnd(says(node), states), style)}  ${arrow}`.trimEnd();
  }).join('\n') + '\n';
}

function colored(node: StageNode, text: string, style: Style): string {
  if (node.states === null) return text;
  return node.states.failed > 0 ? style.bad(text) : node.states.stale > 0 ? style.warn(text) : style.good(text);
}

export function graphMermaid(graph: StageGraph): string {
  const ids = new Map(graph.nodes.map((node, i) => [node.name, `s${i}`]));
  const label = (node: StageNode): string => {
    const second = node.states === null ? '' : `<br/>${statesText(node.states)}`;
    return `"${nodeLabel(node)}${second}"`;
  };
  return [
    'flowchart TD',
    ...graph.nodes.map(node => `  ${ids.get(node.name)}[${label(node)}]`),
    ...graph.edges.map(edge => {
      const arrow = edge.outputs.length === 0 ? '-.->' : edge.gather ? '==>' : '-->';
      const text = edge.outputs.length === 0 ? '' : `|${edge.outputs.join(', ')}|`;
      return `  ${ids.get(edge.from)} ${arrow}${text} ${ids.get(edge.to)}`;
    }),
  ].join('\n') + '\n';
}

export function graphDot(graph: StageGraph): string {
  const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const label = (node: StageNode): string => {
    const second = node.states === null ? '' : `\\n${statesText(node.states)}`;
    return `${quote(nodeLabel(node)).slice(0, -1)}${second}"`;
  };
  return [
    'digraph pipeline {',
    '  rankdir=TB;',
    '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ...graph.nodes.map(node => `  ${quote(node.name)} [label=${label(node)}];`),
    ...graph.edges.map(edge => {
      const style = edge.outputs.length === 0 ? ', style=dashed' : edge.gather ? ', penwidth=2' : '';
      return `  ${quote(edge.from)} -> ${quote(edge.to)} [label=${quote(edge.outputs.join(', '))}${style}];`;
    }),
    '}',
  ].join('\n') + '\n';
}

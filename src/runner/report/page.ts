/** The page of results as one HTML file: styles and pictures inside, no scripts, light and dark. */
import { formatBytes, formatDuration, formatNumber, formatTime, formatValue } from '../ui/format.ts';
import type { Json } from '../json.ts';
import { escapeHtml } from './escape.ts';
import type { PageColumn, PageItem, PageRow, Picture, Provenance, ReportPage, RowMark } from './page-model.ts';
import { pageStyle } from './page-style.ts';

export function renderPage(page: ReportPage): string {
  const facts = [
    `pipeline <b>${escapeHtml(page.pipeline)}</b>`,
    ...(page.profile === null ? [] : [`profile <b>${escapeHtml(page.profile)}</b>`]),
    ...page.overrides.map(entry => `<code>--set ${escapeHtml(entry)}</code>`),
    `${page.counts.fresh} cells fresh${page.counts.stale > 0 ? `, <span class="warn">${page.counts.stale} stale</span>` : ''}`,
    `${formatTime(page.madeAt)}`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="${escapeHtml(page.program)}">
<title>${escapeHtml(page.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>${escapeHtml(page.title)}</h1>
<p class="facts">${facts.join(' · ')}</p>
</header>
<main>
${conclusionsHtml(page)}
${acceptedHtml(page)}
${page.items.map(itemHtml).join('\n')}
<section id="stages">
<h2>Stages</h2>
<div class="wide">${page.graph}</div>
<p class="note">Thick lines gather several cells into one; dashed lines only order. Hover over a box or a line to read more.</p>
</section>
${paramsHtml(page)}
${provenanceHtml(page.provenance)}
</main>
<footer>Made by ${escapeHtml(page.program)} from the results database; nothing here was typed by hand.</footer>
</body>
</html>
`;
}

function conclusionsHtml({ conclusions }: ReportPage): string {
  if (conclusions.length === 0) return '';
  const lines = conclusions.map(({ stage, text, attempt }) =>
    `<p><b>${escapeHtml(stage)}</b> ${escapeHtml(text)} <a href="#attempt-${attempt}">#${attempt}</a></p>`);
  return `<section class="conclusions">${lines.join('')}</section>`;
}

function acceptedHtml({ accepted }: ReportPage): string {
  if (accepted.length === 0) return '';
  const lines = accepted.map(({ cell, reason, attempt }) => `<b>${escapeHtml(cell)}</b> ${escapeHtml(reason)} <a href="#attempt-${attempt}">#${attempt}</a>`);
  return `<p class="note warn" id="accepted">Not made with the pipeline as it is now, but accepted for it: ${lines.join('; ')}.</p>`;
}

function itemHtml(item: PageItem): string {
  switch (item.kind) {
    case 'text':
      return `<section>${item.text.split(/\n\s*\n/).map(part => `<p>${escapeHtml(part.trim()).replaceAll('\n', '<br>')}</p>`).join('')}</section>`;
    case 'figure':
      return figureHtml(item);
    case 'table':
      return tableHtml(item);
  }
}

function tableHtml(item: Extract<PageItem, { kind: 'table' }>): string {
  const [only] = item.rows;
  if (item.rows.length === 1 && only !== undefined && item.columns.length > 4) return factsTableHtml(item, only);
  const numeric = item.columns.map((_, i) => item.rows.some(row => typeof row.values[i] === 'number'));
  const head = item.columns.map((column, i) => `<th scope="col" class="${column.kind}${numeric[i] ? ' number' : ''}">${headHtml(column)}</th>`).join('');
  const note = marksNote(item.rows);
  return `<section>
<h2>${escapeHtml(item.title)}</h2>
<div class="wide"><table>
<thead><tr>${head}<th scope="col" class="source">source</th></tr></thead>
<tbody>
${item.rows.map(row => rowHtml(row, item.columns, numeric)).join('\n')}
</tbody></table></div>${note}
</section>`;
}

/** One row with many columns reads better as names with values. */
function factsTableHtml(item: Extract<PageItem, { kind: 'table' }>, row: PageRow): string {
  const facts = item.columns.map((column, i) => {
    const value = row.values[i];
    const title = typeof value === 'number' ? ` title="${value}"` : '';
    return `<div><dt>${headHtml(column)}</dt><dd${title}>${value === undefined || value === null ? '–' : escapeHtml(valueText(value))}</dd></div>`;
  });
  return `<section>
<h2>${escapeHtml(item.title)}</h2>
<dl class="values ${row.mark.state}">${facts.join('')}</dl>
<p class="note">source ${sourceHtml(row.attempt, row.mark)}</p>${marksNote(item.rows)}
</section>`;
}

/** Long metric names may break at their underscores. */
const headHtml = (column: PageColumn): string => escapeHtml(column.name).replaceAll('_', '_<wbr>');

function rowHtml(row: PageRow, columns: readonly PageColumn[], numeric: readonly boolean[]): string {
  const values = columns.map((column, i) => {
    const value = row.values[i];
    const title = typeof value === 'number' ? ` title="${value}"` : '';
    return `<td class="${column.kind}${numeric[i] ? ' number' : ''}"${title}>${value === undefined || value === null ? '<span class="none">–</span>' : escapeHtml(valueText(value))}</td>`;
  });
  return `<tr class="${row.mark.state}">${values.join('')}<td class="source">${sourceHtml(row.attempt, row.mark)}</td></tr>`;
}

const valueText = (value: Json): string => (typeof value === 'number' ? formatNumber(value) : formatValue(value));

function sourceHtml(attempt: number | null, mark: RowMark): string {
  const link = attempt === null ? '' : `<a href="#attempt-${attempt}">#${attempt}</a>`;
  if (mark.state === 'fresh') return link;
  return `${link} <span class="mark ${mark.state}" title="${escapeHtml(mark.why)}">${mark.state}</span>`;
}

function marksNote(rows: readonly PageRow[]): string {
  const stale = rows.filter(row => row.mark.state === 'stale').length;
  const stopped = rows.filter(row => row.mark.state === 'stopped').length;
  const missing = rows.filter(row => row.mark.state === 'missing').length;
  const parts = [
    ...(stale > 0 ? [`${stale} of ${rows.length} rows are stale: they were made with other code, inputs or settings than the pipeline has now`] : []),
    ...(stopped > 0 ? [`${stopped} of ${rows.length} were stopped by halving`] : []),
    ...(missing > 0 ? [`${missing} of ${rows.length} were never made`] : []),
  ];
  return parts.length === 0 ? '' : `<p class="note${stale + missing > 0 ? ' warn' : ''}">${parts.join('; ')}.</p>`;
}

function figureHtml(item: Extract<PageItem, { kind: 'figure' }>): string {
  const picture = item.picture === null ? `<p class="note warn">${escapeHtml(item.missing ?? 'not made yet')}</p>` : pictureHtml(item.picture, item.title);
  return `<section>
<figure>
${picture}
<figcaption>${escapeHtml(item.title)} ${sourceHtml(item.attempt, item.mark)}</figcaption>
</figure>
</section>`;
}

/** An SVG that only draws is put in as it is, so that it follows the page's colours; any other one as a picture that cannot act. */
function pictureHtml(picture: Picture, title: string): string {
  if (picture.kind === 'svg' && drawsOnly(picture.text)) return `<div class="chart">${picture.text.replace(/^[\s\S]*?(?=<svg)/, '')}</div>`;
  const source = picture.kind === 'svg'
    ? `data:image/svg+xml;base64,${Buffer.from(picture.text).toString('base64')}`
    : `data:${picture.mime};base64,${picture.base64}`;
  return `<img class="paper" alt="${escapeHtml(title)}" src="${source}">`;
}

/** No scripts, handlers, links or foreign content; and no ids, which could clash with those of another figure. */
const drawsOnly = (svg: string): boolean =>
  /<svg[\s>]/.test(svg) && !/<script|<foreignObject|<!ENTITY|\son\w+\s*=|javascript:|href\s*=|\sid\s*=|@import|url\(/i.test(svg);

function paramsHtml(page: ReportPage): string {
  const rows = Object.entries(page.params).map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(formatValue(value))}</td></tr>`);
  return rows.length === 0 ? '' : `<section id="params">
<h2>Params</h2>
<div class="wide"><table class="facts">${rows.join('')}</table></div>
</section>`;
}

function provenanceHtml(provenance: readonly Provenance[]): string {
  if (provenance.length === 0) return '';
  return `<section id="provenance">
<h2>Where each number comes from</h2>
<p class="note">One entry for each attempt that a row or figure names as its source: what went into its key, and what came out.</p>
${provenance.map(attemptHtml).join('\n')}
</section>`;
}

function attemptHtml(source: Provenance): string {
  const took = source.durationMs === null ? '' : ` · ${formatDuration(source.durationMs)}`;
  const facts: (readonly [string, string])[] = [
    ['key', `<code>${escapeHtml(source.key)}</code>`],
    ['run', `${source.run}, attempt ${source.attempt}, ${escapeHtml(source.status)}`],
    ['when', `${formatTime(source.startedAt)}${took}`],
    ['where', escapeHtml(source.host)],
    ...Object.entries(source.platform).map(([name, value]) => [escapeHtml(name), escapeHtml(formatValue(value))] as const),
    ...(source.cpuSeconds === null ? [] : [['processor time', formatDuration(source.cpuSeconds * 1000)] as const]),
    ...(source.peakMemoryBytes === null ? [] : [['peak memory', formatBytes(source.peakMemoryBytes)] as const]),
  ];
  const outputs = source.outputs.map(output => [
    `output ${escapeHtml(output.name)}`,
    `<code>${escapeHtml(output.digest)}</code> ${formatBytes(output.size)}${output.files > 1 ? `, ${output.files} files` : ''}`,
  ] as const);
  const parts = source.manifest.map(part => [
    `${escapeHtml(part.part)}${part.ignored ? ' <i>(not in the key)</i>' : ''}`, `<code>${partHtml(part.value)}</code>`,
  ] as const);
  const table = (rows: readonly (readonly [string, string])[]): string =>
    `<table class="facts">${rows.map(([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`).join('')}</table>`;
  // The anchor is inside: going to it opens the entry, which needs no script.
  return `<details>
<summary>#${source.attempt} ${escapeHtml(source.cell)} <span class="dim">${escapeHtml(source.key.slice(0, 12))} · ${formatTime(source.startedAt)}${took}</span></summary>
<div id="attempt-${source.attempt}">
${table(facts)}<h4>What the key is made of</h4>${table(parts)}${outputs.length === 0 ? '' : `<h4>What came out</h4>${table(outputs)}`}
</div>
</details>`;
}

/** Maps such as the code's files, one entry a line. */
function partHtml(value: Json): string {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return escapeHtml(formatValue(value));
  return Object.entries(value).map(([name, entry]) => `${escapeHtml(name)}: ${escapeHtml(formatValue(entry))}`).join('<br>');
}
